import type { Account } from './account-store.ts'

/** Why a new password is not acceptable. */
export type Weakness = 'too-short' | 'predictable' | 'unchanged'

/** Length, and the few patterns that a guesser who knows the person tries first. */
export function findWeakness(
  password: string,
  { account, minimumLength }: { account: Account; minimumLength: number },
): Weakness | undefined {
  if ([...password].length < minimumLength) return 'too-short'
  if (new Set(password.toLowerCase()).size < 5) return 'predictable'
  const { username, claims } = account
  const known = [username, claims.email?.split('@')[0], ...Object.values(claims)]
  const rest = known
    .filter((text) => typeof text === 'string')
    // The longest first: an email address holds its name.
    .toSorted((a, b) => b.length - a.length)
    .filter((text) => text.length >= 4)
    .reduce((left, text) => left.replaceAll(text.toLowerCase(), ''), password.toLowerCase())
  return rest.length < minimumLength / 2 ? 'predictable' : undefined
}
