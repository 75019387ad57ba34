import { randomUUID } from 'node:crypto'
import type { Clock } from '../clock.ts'
import type { Account, AccountStore } from './account-store.ts'
import type { Claims } from './claims.ts'
import { generatePassword, type Passwords } from './password.ts'
import { comparableUsername } from './username.ts'

/** A new person with a password that is good for one sign-in, at which a new one is chosen. */
export interface NewAccount {
  readonly account: Account
  /** Shown once and stored nowhere. */
  readonly oneTimePassword: string
}

export interface AccountDetails {
  readonly username: string
  readonly claims?: Claims
  readonly isAdministrator?: boolean
  readonly isDisabled?: boolean
  /** Left out, true: the password is one for the first sign-in. */
  readonly mustChangePassword?: boolean
}

/** Makes an account that is not stored yet. */
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
 * The administrator of a first start.
 * @returns undefined where there are people already, or another node was first
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
  return (await accounts.add(made.account)) ? made : undefined
}
