import { isDeepStrictEqual } from 'node:util'
import type { AccountAction, Ordered } from '../audit/record.ts'
import type { Claims } from './claims.ts'

/** Contracts of the stores for accounts of people and for their consents. */

export interface Account {
  /** The `sub` of OpenID Connect: random, never changed and never reused. */
  readonly id: string
  /** Name that the person types; unique, compared by RFC 8265 (`username.ts`). */
  readonly username: string
  /** PHC string (Argon2id). */
  readonly passwordHash: string
  readonly claims: Claims
  readonly isAdministrator: boolean
  readonly isDisabled: boolean
  /** True while the password is a one-time password, which must be changed at the next sign-in. */
  readonly mustChangePassword: boolean
  readonly createdAt: number
  readonly updatedAt: number
}

/** New values for fields that may change. */
export type AccountChanges = Partial<Omit<Account, 'id' | 'username' | 'createdAt'>>

/** The instant of a change: later than the previous change, so that the two can be told apart. */
export function nextChange({ updatedAt }: Pick<Account, 'updatedAt'>, now: number): number {
  return Math.max(now, updatedAt + 1)
}

/**
 * Names of the claims and marks in which two states of an account differ, for its records. The
 * claim `updated_at` is left out, because it changes with each other claim.
 * @param before undefined for a new account
 */
export function changedNames(before: Account | undefined, after: Account): readonly string[] {
  const [known, next] = [before ? named(before) : UNMARKED, named(after)]
  return [...new Set([...Object.keys(next), ...Object.keys(known)])].filter(
    (name) => name !== 'updated_at' && !isDeepStrictEqual(known[name], next[name]),
  )
}

const UNMARKED: Claims = { isAdministrator: false, isDisabled: false }

function named({ claims, isAdministrator, isDisabled }: Account): Claims {
  return { ...claims, isAdministrator, isDisabled }
}

/**
 * A change by an order is recorded together with it (`audit/record.ts`), both or neither. `by` is
 * the order; it is undefined for a change that nobody ordered, such as a stronger hash.
 */
export interface AccountStore {
  findById(id: string): Promise<Account | undefined>
  /**
   * Finds the account whose name compares equal. Old names were compared otherwise: if several
   * compare equal now, the one with exactly this spelling is found.
   */
  findByUsername(username: string): Promise<Account | undefined>
  /**
   * Adds an account.
   * @returns false if the user name is taken or looks like a taken one (`skeleton.ts`)
   */
  add(account: Account, by?: Ordered<AccountAction>): Promise<boolean>
  /**
   * Changes only the fields that `decide` returns. Calls `decide` again if another process changed
   * the account meanwhile, so that no change is undone: an operator may disable an account while
   * its owner chooses a new password.
   * @param decide returns undefined to change nothing
   * @returns the changed account; undefined if there is none, or `decide` returned undefined
   */
  change(
    id: string,
    decide: (current: Account) => AccountChanges | undefined,
    by?: Ordered<AccountAction>,
  ): Promise<Account | undefined>
  /** Removes an account and its consents. @returns false if there is no such account */
  remove(id: string, by?: Ordered<AccountAction>): Promise<boolean>
  /** Resolves to true if the store has no account. */
  isEmpty(): Promise<boolean>
  /** Lists all accounts in the order of user names. */
  list(): Promise<readonly Account[]>
  /** Lists forged accounts, whose MAC is wrong and which count as absent, for their removal. */
  forged(): Promise<readonly Pick<Account, 'id' | 'username'>[]>
}

/** Scopes and claims that a person granted to a client, remembered beyond the session. */
export interface Consent {
  readonly accountId: string
  readonly clientId: string
  readonly oidcScopes: readonly string[]
  readonly oidcClaims: readonly string[]
  /** Scopes by resource indicator (RFC 8707). */
  readonly resourceScopes: Readonly<Record<string, readonly string[]>>
  readonly updatedAt: number
}

/** A consent without person and client. */
export type Allowed = Omit<Consent, 'accountId' | 'clientId'>

export interface ConsentStore {
  find(accountId: string, clientId: string): Promise<Consent | undefined>
  /**
   * Stores the consent that `decide` returns. Calls `decide` again if the stored consent changed
   * meanwhile, so that two simultaneous consents are both kept. `decide` must be idempotent (a
   * union is), because `before` may be its own earlier result.
   */
  change(
    accountId: string,
    clientId: string,
    decide: (before: Consent | undefined) => Allowed,
  ): Promise<void>
  remove(accountId: string, clientId: string): Promise<void>
}
