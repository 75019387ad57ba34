import { randomUUID } from 'node:crypto'
import { ordered } from '../audit/record.ts'
import type { Clock } from '../clock.ts'
import type { Account, AccountStore } from './account-store.ts'
import type { Claims } from './claims.ts'
import { generatePassword, type Passwords } from './password.ts'
import { comparableUsername } from './username.ts'

/** A new account with a one-time password, which must be changed at the first sign-in. */
export interface NewAccount {
  readonly account: Account
  /** Password to show once; only its hash is stored. */
  readonly oneTimePassword: string
}

export interface AccountDetails {
  readonly username: string
  readonly claims?: Claims
  readonly isAdministrator?: boolean
  readonly isDisabled?: boolean
  /** Defaults to true, because the password is for the first sign-in only. */
  readonly mustChangePassword?: boolean
}

/** Makes an account without storing it. */
export async function newAccount(
  details: AccountDetails,
  passwords: Pick<Passwords, 'hash'>,
  clock: Pick<Clock, 'now'>,
): Promise<NewAccount> {
  const oneTimePassword = generatePassword()
  const now = clock.now()
  const account: Account = {
    id: randomUUID(),
    username: comparableUsername(details.username),
    passwordHash: await passwords.hash(oneTimePassword),
    claims: details.claims ?? {},
    isAdministrator: details.isAdministrator ?? false,
    isDisabled: details.isDisabled ?? false,
    mustChangePassword: details.mustChangePassword ?? true,
    createdAt: now,
    updatedAt: now,
  }
  return { account, oneTimePassword }
}

/**
 * Adds the administrator of a first start.
 * @returns undefined if there are accounts already, or another node was first
 */
export async function addFirstAdministrator(
  username: string,
  {
    accounts,
    passwords,
    clock,
  }: {
    accounts: Pick<AccountStore, 'isEmpty' | 'add'>
    passwords: Pick<Passwords, 'hash'>
    clock: Pick<Clock, 'now'>
  },
): Promise<NewAccount | undefined> {
  if (!(await accounts.isEmpty())) return undefined
  const made = await newAccount({ username, isAdministrator: true }, passwords, clock)
  const order = { actor: 'server', reason: 'first start' }
  const by = ordered('account_added', { order, now: made.account.createdAt })
  return (await accounts.add(made.account, by)) ? made : undefined
}
