/**
 * Keys and events. Both are facts: inserted once, never rewritten. Everything else about a key -
 * its phase, when it retires, when it leaves the JWKS - is derived from these facts in
 * `lifecycle.ts`.
 */

/** Name of a ring: a use and an algorithm, such as `sig/RS256`, or `cookie`. */
export type RingName = string

/**
 * `activatesAt` of a key that signs only if somebody promotes it. The last second of the year 9999,
 * which is the latest that RFC 3339 can write.
 */
export const NEVER = 253_402_300_799

/** The metadata of a key, which is all that the lifecycle needs. */
export interface KeyFacts {
  /**
   * For a key that was made here, the RFC 7638 thumbprint of its public half (of the secret, for a
   * symmetric ring). For a key that moved in, the kid of the old system: up to 255 characters of
   * any script.
   */
  readonly kid: string
  readonly ring: RingName
  /** Place of the key in its ring, from 1; unique per ring in every store. */
  readonly generation: number
  /** JWS `alg` (RFC 7518, section 3.1; RFC 8037; RFC 9964). */
  readonly algorithm: string
  /** Instant of creation, and the first instant at which the key may be published. */
  readonly createdAt: number
  /**
   * The key may sign from this instant, unless an event moves it earlier. Written once, at
   * creation.
   */
  readonly activatesAt: number
  /** Seconds that the key stays published after it retires, as the policy said at creation. */
  readonly retention: number
  /** False once the private half has been erased, so that the key can only verify. */
  readonly hasPrivateHalf: boolean
  /**
   * The key moved in for the tokens that it signed elsewhere. It is published from `activatesAt`
   * for `retention`, never signs here, and neither retires another key nor is retired by one.
   */
  readonly verifiesOnly?: true
  /**
   * Instant until which an imported key signs, because the old system would have switched then. A
   * key without it signs for the cryptoperiod of its ring.
   */
  readonly signsUntil?: number
  /**
   * The record does not open and no event tells the key's place in its ring, so the values of the
   * record may be forged: the key retires no other and takes no generation.
   */
  readonly isUnplaced?: true
}

/** The place of a key in its ring, written by a process that had opened the key. */
export interface KeyPlace {
  readonly kid: string
  readonly generation: number
  readonly createdAt: number
  /** Effective activation, promotions included. */
  readonly activatesAt: number
}

interface EventBase {
  /** Names the event: of two records with the same id, the older one counts. */
  readonly id: string
  readonly ring: RingName
  /** Instant at which the event was recorded. */
  readonly at: number
  readonly reason: string
  /** Name of the operator, or `keyturn` for the plan. */
  readonly actor: string
}

/** A key may sign from `activatesAt`, earlier than was planned at its creation. */
export interface PromoteEvent extends EventBase {
  readonly type: 'promote'
  readonly kid: string
  readonly activatesAt: number
}

/** A key is never trusted again. */
export interface RevokeEvent extends EventBase {
  readonly type: 'revoke'
  readonly kid: string
  /**
   * Place of the key, needed once its record does not open any more; null if it did not open when
   * it was revoked.
   */
  readonly place: KeyPlace | null
}

/** All keys of the ring created strictly before an instant are never trusted again. */
export interface RevokeBeforeEvent extends EventBase {
  readonly type: 'revoke-before'
  readonly createdBefore: number
  /** Places of the revoked keys that opened. */
  readonly places: readonly KeyPlace[]
}

/** A key that may be signing stays published longer, because token lifetimes were raised. */
export interface ExtendEvent extends EventBase {
  readonly type: 'extend'
  readonly kid: string
  /** Seconds after retirement. */
  readonly retention: number
}

/**
 * A key signed a token that outlives its retention, because a clock was wrong, or because only one
 * node had been given a longer lifetime.
 */
export interface ValidUntilEvent extends EventBase {
  readonly type: 'valid-until'
  readonly kid: string
  /** Latest expiry of all that the key has signed so far. */
  readonly validUntil: number
}

/**
 * Events that other records name are lost for good, because the store was set back and no node has
 * them any more. An operator is responsible for continuing without them.
 */
export interface AcceptEvent extends EventBase {
  readonly type: 'accept'
  /** Ids of the lost event records. */
  readonly missing: readonly string[]
}

export type KeyEvent =
  | PromoteEvent
  | RevokeEvent
  | RevokeBeforeEvent
  | ExtendEvent
  | ValidUntilEvent
  | AcceptEvent

type WithoutId<E> = E extends KeyEvent ? Omit<E, 'id'> : never
export type EventWithoutId = WithoutId<KeyEvent>

/** Adds the id of an event, which is equal for two records of the same event. */
export function keyEvent(event: EventWithoutId): KeyEvent {
  switch (event.type) {
    case 'promote':
      return { ...event, id: `promote/${event.kid}/${event.activatesAt}` }
    case 'revoke':
      return { ...event, id: `revoke/${event.kid}` }
    case 'revoke-before':
      return { ...event, id: `revoke-before/${event.ring}/${event.createdBefore}` }
    case 'extend':
      return { ...event, id: `extend/${event.kid}/${event.retention}` }
    case 'valid-until':
      return { ...event, id: `valid-until/${event.kid}/${event.validUntil}` }
    case 'accept':
      return { ...event, id: `accept/${event.missing.join('+')}` }
  }
}
