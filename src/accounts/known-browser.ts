import { createHash, randomBytes } from 'node:crypto'
import type { Account } from './account-store.ts'

/**
 * What a browser remembers of having signed in: it opens a lane of its own at the next sign-in, so
 * that somebody who guesses a password elsewhere cannot shut its owner out (OWASP, "Slow down online
 * guessing attacks with device cookies"). It proves nothing else, and signs nobody in.
 */
export interface Memory {
  readonly accountId: string
  /** Random, another one after each sign-in: a copy of a cookie is counted by itself. */
  readonly browserId: string
  /** Of the password that was right. A new password ends what browsers remember. */
  readonly passwordMark: string
  /** When the browser signed in. */
  readonly signedInAt: number
}

/** Accounts that one browser remembers: those of a family, and a cookie far below 4 KiB. */
const MOST_ACCOUNTS = 5

/** 72 bits, which nobody meets twice. */
const BROWSER_ID_BYTES = 9
/** 72 bits: enough to tell passwords apart; nothing about them follows, as their salts are secret. */
const MARK_CHARACTERS = 12

/** @returns what the browser remembers after signing in as this account, the newest first */
export function remember(
  memories: readonly Memory[],
  account: Pick<Account, 'id' | 'passwordHash'>,
  now: number,
): readonly Memory[] {
  const newest: Memory = {
    accountId: account.id,
    browserId: randomBytes(BROWSER_ID_BYTES).toString('base64url'),
    passwordMark: markPassword(account),
    signedInAt: now,
  }
  const others = memories.filter(({ accountId }) => accountId !== account.id)
  return [newest, ...others].slice(0, MOST_ACCOUNTS)
}

/** @returns what a browser remembers of this account, unless its password is another one by now */
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
  const digest = createHash('sha256').update(passwordHash).digest('base64url')
  return digest.slice(0, MARK_CHARACTERS)
}
