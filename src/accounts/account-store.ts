/** People, and what they agreed to share with which client. */

export interface Account {
  /** The OpenID Connect `sub`: random, never reused, never changed. */
  readonly id: string
  /** What the person types; unique, compared in lower case. */
  readonly username: string
  /** PHC string (Argon2id). */
  readonly passwordHash: string
  readonly name: string | null
  readonly email: string | null
  readonly emailVerified: boolean
  readonly isAdministrator: boolean
  readonly isDisabled: boolean
  /** Signed in with a one-time password: a new one must be chosen before anything else. */
  readonly mustChangePassword: boolean
  readonly createdAt: number
  readonly updatedAt: number
}

export interface AccountStore {
  findById(id: string): Promise<Account | undefined>
  findByUsername(username: string): Promise<Account | undefined>
  /** @returns false where the username is taken */
  add(account: Account): Promise<boolean>
  /** Replaces the account with the same id. @returns false where there is none */
  update(account: Account): Promise<boolean>
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

export interface ConsentStore {
  find(accountId: string, clientId: string): Promise<Consent | undefined>
  /** Inserts, or replaces what was remembered for the same account and client. */
  save(consent: Consent): Promise<void>
  remove(accountId: string, clientId: string): Promise<void>
}
