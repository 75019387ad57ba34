import type { Order } from '../ring/orders.ts'

/** Records of changes of people and clients: who changed what, when and why. */

export type AccountAction =
  | 'account_added'
  | 'account_claims_set'
  | 'account_password_renewed'
  /** The person replaced a one-time password at a sign-in. */
  | 'account_password_chosen'
  | 'account_disabled'
  | 'account_enabled'
  | 'account_unlocked'
  | 'account_removed'

export type ClientAction =
  | 'client_added'
  | 'client_updated'
  | 'client_secret_renewed'
  | 'client_secrets_ended'
  | 'client_removed'

/** An order with its action, to be recorded together with the change that it makes. */
export interface Ordered<A extends AccountAction | ClientAction> extends Order {
  readonly action: A
  /** Instant of the change, in seconds since the epoch. */
  readonly at: number
}

/** The order as it is recorded for one of its changes. */
export function ordered<A extends AccountAction | ClientAction>(
  action: A,
  { order: { actor, reason }, now: at }: { readonly order: Order; readonly now: number },
): Ordered<A> {
  return { actor, reason, action, at }
}

/** The account or client that was changed. */
export interface Subject {
  /** Id of an account (`sub`), or client_id. */
  readonly id: string
  /** User name of an account. */
  readonly username?: string
}

/** A change as it is recorded. */
export interface Entry {
  readonly by: Ordered<AccountAction | ClientAction>
  readonly subject: Subject
  /** Names of changed properties or claims. Values are never recorded. */
  readonly changed: readonly string[]
}

/** A record as it is listed. */
export interface AuditRecord extends Order {
  /** Place among all records of the issuer, from 1 without gaps. */
  readonly number: number
  readonly at: number
  /** An action of `Ordered`, or one of a later version. */
  readonly action: string
  readonly subject: Subject
  readonly changed: readonly string[]
  /** True if the record fails its check, so that nothing in it can be believed. */
  readonly isForged: boolean
}
