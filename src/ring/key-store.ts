import type { RingName } from './key.ts'

/**
 * A key as every store keeps it. `data` carries the sealed key and a copy of all other values, so
 * that editing any field in the store makes the key refuse to open (`seal.ts`). Field names `id`
 * to `dataProtected` are those of the Duende store, which other tools know.
 */
export interface SerializedKey {
  /** The kid. */
  readonly id: string
  /** Of this record's format; 1. */
  readonly version: number
  readonly ring: RingName
  readonly generation: number
  readonly algorithm: string
  /** Instant of creation, seconds since the epoch. */
  readonly created: number
  readonly activatesAt: number
  /** Seconds. */
  readonly retention: number
  readonly isX509Certificate: boolean
  /** Compact JWE of the JWK when `dataProtected`. */
  readonly data: string
  readonly dataProtected: boolean
}

/**
 * An event as every store keeps it. `data` is the whole event, authenticated (`event-record.ts`); the
 * other values are for people who look into the store, and for sorting.
 */
export interface SerializedEvent {
  /** Follows from `data`, so that the same event recorded twice is one record. */
  readonly id: string
  readonly ring: RingName
  readonly type: string
  readonly at: number
  /** Compact JWS (RFC 7515). */
  readonly data: string
}

export interface StoredRings {
  readonly keys: readonly SerializedKey[]
  readonly events: readonly SerializedEvent[]
}

/**
 * Where keys and events live. Uniqueness of (ring, generation) is the only coordination between
 * nodes: no leader, no lock. Every implementation passes `testKeyStore` (`keyturn/conformance`).
 *
 * All methods reject with StoreUnavailable where the store cannot be reached or written, and
 * `load` with StoreUnreadable where a record is damaged. A method that rejected has changed
 * nothing, or has changed everything it was asked to.
 */
export interface KeyStore {
  /** Everything. Events are read after keys, so that a revocation is never older than its key. */
  load(): Promise<StoredRings>
  /**
   * Inserts a key, whole or not at all.
   * @returns the key that holds (ring, generation): this one, or the one that got in before it
   */
  addKey(key: SerializedKey): Promise<SerializedKey>
  /**
   * Inserts keys and events, all of them or none, whatever crashes meanwhile: a move from another system
   * is not half done. Records that are there already as they are given stay, so it may be done twice.
   * @throws KidTaken where a kid is stored otherwise, PlaceTaken where another key has a (ring, generation)
   */
  addTogether(records: StoredRings): Promise<void>
  /**
   * Puts another seal of the same thing in the place of the key with the same id: of a key, the form
   * without its private half, which is the one change a key sees in its life; of the deployment's
   * secret, the form under a newer key-encryption key. Nodes that do it twice agree. A key that is
   * gone stays gone.
   */
  eraseKey(key: SerializedKey): Promise<void>
  /** Removes a key whose life is over. Removing one that is gone is no error. */
  removeKey(id: string): Promise<void>
  /**
   * Appends events. One that is already recorded (same id) stays as it is; where its record was
   * edited since, it becomes what it was, because the id follows from the content.
   */
  addEvents(events: readonly SerializedEvent[]): Promise<void>
}
