import { hash, randomUUID } from 'node:crypto'
import type { Account } from './account-store.ts'

/**
 * A browser's record of an earlier sign-in. It gives the browser its own limit and lane at the next
 * sign-in, so that password guessing elsewhere cannot lock the owner out (OWASP, "Slow down online
 * guessing attacks with device cookies"). It proves nothing else and signs nobody in.
 */
export interface Memory {
  readonly accountId: string
  /** Random and new after each sign-in, so that a copied cookie is counted apart. */
  readonly browserId: string
  /** Digest of the password hash. A new password invalidates the record. */
  readonly passwordMark: string
  /** Instant of the sign-in. */
  readonly signedInAt: number
}

/** Most accounts per browser: enough for a family, and the cookie stays far below 4 KiB. */
const MOST_ACCOUNTS = 5

/** Characters of a password's mark, 72 bits. It reveals nothing, because salts are secret. */
const MARK_CHARACTERS = 12

/** The browser's records after a sign-in as this account, newest first. */
export function remember(
  memories: readonly Memory[],
  account: Pick<Account, 'id' | 'passwordHash'>,
  now: number,
): readonly Memory[] {
  const newest: Memory = {
    accountId: account.id,
    // The cheapest source of randomness, because Node draws many UUIDs at once.
    browserId: randomUUID(),
    passwordMark: markPassword(account),
    signedInAt: now,
  }
  const others = memories.filter(({ accountId }) => accountId !== account.id)
  return [newest, ...others].slice(0, MOST_ACCOUNTS)
}

/** The browser's record of this account, unless the password has changed since. */
export function recall(
  memories: readonly Memory[],
  account: Pick<Account, 'id' | 'passwordHash'>,
): Memory | undefined {
  const mark = markPassword(account)
  return memories.find(
    ({ accountId, passwordMark }) => accountId === account.id && passwordMark === mark,
  )
}

function markPassword({ passwordHash }: Pick<Account, 'passwordHash'>): string {
  return hash('sha256', passwordHash, 'base64url').slice(0, MARK_CHARACTERS)
}
