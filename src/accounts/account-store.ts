import type { Claims } from './claims.ts'

/** People, and what they agreed to share with which client. */

export interface Account {
  /** The OpenID Connect `sub`: random, never reused, never changed. */
  readonly id: string
  /** What the person types; unique, compared by RFC 8265 (`username.ts`). */
  readonly username: string
  /** PHC string (Argon2id). */
  readonly passwordHash: string
  readonly claims: Claims
  readonly isAdministrator: boolean
  readonly isDisabled: boolean
  /** Signed in with a one-time password: a new one must be chosen before anything else. */
  readonly mustChangePassword: boolean
  readonly createdAt: number
  readonly updatedAt: number
}

/** The fields that may change, each with its new value. */
export type AccountChanges = Partial<Omit<Account, 'id' | 'username' | 'createdAt'>>

/** When a change is made: never the instant of the one before, by which somebody may know it. */
export function nextChange({ updatedAt }: Pick<Account, 'updatedAt'>, now: number): number {
  return Math.max(now, updatedAt + 1)
}

export interface AccountStore {
  findById(id: string): Promise<Account | undefined>
  /** Of several whose names were written before they were compared so, the one of exactly this name. */
  findByUsername(username: string): Promise<Account | undefined>
  /** @returns false where the username is taken, or looks like one that is (`skeleton.ts`) */
  add(account: Account): Promise<boolean>
  /**
   * Changes the fields that `decide` names and no others, and only while what it was shown still
   * stands: where somebody else changed the account meanwhile, it is asked again with what is there
   * then. So nobody undoes what another did, as the operator who disables an account while its owner
   * chooses a new password.
   * @param decide gives undefined where it finds that nothing should be changed any more
   * @returns the account as it is then; undefined where there is none, or `decide` gave up
   */
  change(
    id: string,
    decide: (current: Account) => AccountChanges | undefined,
  ): Promise<Account | undefined>
  /** Removes the account and its consents. @returns false where there is none */
  remove(id: string): Promise<boolean>
  /** Is there nobody at all? */
  isEmpty(): Promise<boolean>
  /** In order of username. */
  list(): Promise<readonly Account[]>
  /** Accounts that are absent as somebody else wrote or changed them, to be removed. */
  forged(): Promise<readonly Pick<Account, 'id' | 'username'>[]>
}

/** Scopes and claims a person let a client have; remembered beyond the session. */
export interface Consent {
  readonly accountId: string
  readonly clientId: string
  readonly oidcScopes: readonly string[]
  readonly oidcClaims: readonly string[]
  /** Scopes by resource indicator (RFC 8707). */
  readonly resourceScopes: Readonly<Record<string, readonly string[]>>
  readonly updatedAt: number
}

/** A consent without whose it is. */
export type Allowed = Omit<Consent, 'accountId' | 'clientId'>

export interface ConsentStore {
  find(accountId: string, clientId: string): Promise<Consent | undefined>
  /**
   * Remembers what `decide` makes of what was remembered before; it is asked again where somebody
   * else remembered something meanwhile, so that of two consents at once none is lost. It may be shown
   * what it gave before, and must then give the same (a union does).
   */
  change(
    accountId: string,
    clientId: string,
    decide: (before: Consent | undefined) => Allowed,
  ): Promise<void>
  remove(accountId: string, clientId: string): Promise<void>
}
