/**
 * What a key and an event are. Both are facts: inserted once, never rewritten.
 * Everything else about a key - its phase, when it retires, when it leaves the JWKS - is derived
 * from them in `lifecycle.ts`.
 */

/** Name of a ring: a use and an algorithm, such as `sig/RS256`, or `cookie`. */
export type RingName = string

/**
 * `activatesAt` of a key that waits for an order: somebody promotes it, or it never signs. The last second of
 * the year 9999, which is the latest that RFC 3339 can write.
 */
export const NEVER = 253_402_300_799

/** The metadata of a key; all that the lifecycle needs to know of it. */
export interface KeyFacts {
  /**
   * Of a key that was made here the RFC 7638 thumbprint of its public half (of the secret, for a symmetric
   * ring); of one that moved in what the old system called it, in up to 255 characters of any script.
   */
  readonly kid: string
  readonly ring: RingName
  /** Place in its ring, from 1; unique per ring in every store. */
  readonly generation: number
  /** JWS `alg` (RFC 7518, section 3.1; RFC 8037; RFC 9964). */
  readonly algorithm: string
  /** Instant of creation, which is also the first instant it may be published. */
  readonly createdAt: number
  /** May sign from this instant, unless an event moves it earlier. Written once, at creation. */
  readonly activatesAt: number
  /** Seconds it stays published after it retires, as the policy said at creation. */
  readonly retention: number
  /** False once the private half has been erased; it can then verify and nothing else. */
  readonly hasPrivateHalf: boolean
  /**
   * The key came from elsewhere for what it signed there. It is published from `activatesAt` for `retention`,
   * never signs here, and neither retires another key nor is retired by one.
   */
  readonly verifiesOnly?: true
  /**
   * Of a key that moved in and signs: when the old system would have switched to another one. A key without it
   * signs for the cryptoperiod of its ring.
   */
  readonly signsUntil?: number
  /**
   * The record does not open and no event tells where the key stood in its ring, so what the record
   * says of itself may be forged: the key retires no other and takes no generation.
   */
  readonly isUnplaced?: true
}

/** Where a key stood in its ring, as somebody saw who had opened it. */
export interface KeyPlace {
  readonly kid: string
  readonly generation: number
  readonly createdAt: number
  /** Effective activation, promotions included. */
  readonly activatesAt: number
}

interface EventBase {
  /** Names what happened: of two records of the same thing, the older one counts. */
  readonly id: string
  readonly ring: RingName
  /** When it was recorded. */
  readonly at: number
  readonly reason: string
  /** Who asked: an operator's name, or `keyturn` for the plan. */
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
   * Where the key stood, for the time when its record does not open any more; null where it did not
   * open when it was revoked.
   */
  readonly place: KeyPlace | null
}

/** All keys of the ring created strictly before an instant are never trusted again. */
export interface RevokeBeforeEvent extends EventBase {
  readonly type: 'revoke-before'
  readonly createdBefore: number
  /** Of the keys that it revokes, as far as they opened. */
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
 * A key signed something that lives longer than its retention covers: by a fault of a clock, or a
 * lifetime that only one node was told of.
 */
export interface ValidUntilEvent extends EventBase {
  readonly type: 'valid-until'
  readonly kid: string
  /** Nothing that the key signed so far expires later. */
  readonly validUntil: number
}

/**
 * Events that other records name are gone for good - the store was set back, and nobody still has
 * them - and an operator answers for going on without them.
 */
export interface AcceptEvent extends EventBase {
  readonly type: 'accept'
  /** Ids of the records. */
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

/** Gives an event the id that makes two records of the same thing one event. */
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
