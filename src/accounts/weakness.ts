import type { Account } from './account-store.ts'

/** Reason to refuse a new password. */
export type Weakness = 'too-short' | 'predictable' | 'unchanged'

/** Checks length, and patterns that somebody who knows the person would try first. */
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
    // The longest comes first, because an email address contains its local part.
    .toSorted((a, b) => b.length - a.length)
    .filter((text) => text.length >= 4)
    .reduce((left, text) => left.replaceAll(text.toLowerCase(), ''), password.toLowerCase())
  return rest.length < minimumLength / 2 ? 'predictable' : undefined
}
