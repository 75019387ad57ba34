import type { RingName } from './key.ts'

/**
 * A key as every store keeps it. `data` carries the sealed key and a copy of all other values, so
 * that a key with an edited field refuses to open (`seal.ts`). The field names `id` to
 * `dataProtected` are those of the Duende store, which other tools know.
 */
export interface SerializedKey {
  /** The kid. */
  readonly id: string
  /** Version of the record's format; 1. */
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
 * An event as every store keeps it. `data` is the whole event, authenticated (`event-record.ts`);
 * the other values help to sort, and help people who look into the store.
 */
export interface SerializedEvent {
  /** Derived from `data`, so that recording the same event twice makes one record. */
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

/** Keys and events that a store takes all of, or none. */
export interface RecordsTogether extends StoredRings {
  /**
   * Records whose place one of `keys` takes, under the same id and elsewhere in its ring: a key
   * that only verified gets its private half. Each is removed in the same step, if it is still as
   * given.
   */
  readonly replaced?: readonly SerializedKey[]
}

/**
 * The store of keys and events. Uniqueness of (ring, generation) is the only coordination between
 * nodes: no leader, no lock. Every implementation passes `testKeyStore` (`keyturn/conformance`).
 *
 * All methods reject with StoreUnavailable if the store cannot be reached or written, and `load`
 * with StoreUnreadable if a record is damaged. A method that rejects has made either none or all of
 * its changes.
 */
export interface KeyStore {
  /**
   * Loads everything. Events are read after keys, so that a revocation is never older than its key.
   */
  load(): Promise<StoredRings>
  /**
   * Inserts a key, whole or not at all.
   * @returns the key that holds (ring, generation): this one, or one that was inserted before
   */
  addKey(key: SerializedKey): Promise<SerializedKey>
  /**
   * Inserts all keys and events or none of them, whatever crashes meanwhile, so that a move from
   * another system is never half done. Records that are stored as given stay, so the call may be
   * repeated.
   * @throws KidTaken if a kid is stored with other content
   * @throws PlaceTaken if another key has a (ring, generation)
   */
  addTogether(records: RecordsTogether): Promise<void>
  /**
   * Replaces the record with the same id by another seal of the same content: for a key, the form
   * without its private half, which is the only change in the life of a key; for the secret of the
   * deployment, the form under a newer key-encryption key. Safe to do twice. A key that was removed
   * stays removed.
   */
  eraseKey(key: SerializedKey): Promise<void>
  /** Removes a key whose life is over. Removing a missing key is no error. */
  removeKey(id: string): Promise<void>
  /**
   * Appends events. An event that is already recorded (same id) stays as it is. If its record was
   * edited meanwhile, the original content replaces it, because the id follows from the content.
   */
  addEvents(events: readonly SerializedEvent[]): Promise<void>
}
