import { isDeepStrictEqual } from 'node:util'
import {
  KekEmpty,
  KekMissing,
  KekUnreadable,
  type KeyturnError,
  SealBroken,
  StoreIncomplete,
} from '../errors.ts'
import { isDeploymentRecord } from './deployment.ts'
import { type OpenedEvents, readUnchecked } from './event-record.ts'
import type { KeyEvent, KeyPlace } from './key.ts'
import type { SerializedKey, StoredRings } from './key-store.ts'
import { isRevocationOf, type RingFacts } from './lifecycle.ts'
import { closedKey, type RingKey, uncheckedKey } from './ring-key.ts'
import type { Sealer } from './sealer.ts'

/**
 * Records of a store once they are open. Two types mean keys and events: `StoredRings` are records,
 * as a store keeps them, and `RingFacts` is their content. `LoadedRings` has both.
 */

/** Open keys by kid, each with the record from which it was opened. */
export type OpenedKeys = Map<string, { readonly record: SerializedKey; readonly key: RingKey }>

/** All genuine keys and events of a store. */
export interface LoadedRings extends RingFacts<RingKey> {
  /** The records of the keys that open and of the events. */
  readonly records: StoredRings
  /** Ids of the newest events, which the next key or event names. */
  readonly heads: readonly string[]
  /** Ids of missing events that keys or other events name: they were deleted or rolled back. */
  readonly missing: readonly string[]
  /** Ids of event records that fail their check. */
  readonly forged: readonly string[]
  /** Errors of keys that do not open and are not revoked. */
  readonly failures: readonly KeyturnError[]
  /** True if the store has the record of the deployment's secret. */
  readonly hasDeployment: boolean
}

/** No keys and no events, as at a first start. */
export const NO_RINGS: LoadedRings = {
  keys: [],
  events: [],
  records: { keys: [], events: [] },
  heads: [],
  missing: [],
  forged: [],
  failures: [],
  hasDeployment: false,
}

/**
 * Opens records. A key that does not open is closed in the result, with a failure unless it was
 * revoked.
 * @param opened open keys, which are not opened again; updated
 * @throws errors of the sealer that are not failures of a seal
 */
export async function openRecords(
  stored: StoredRings,
  sealer: Sealer,
  opened: OpenedKeys,
): Promise<LoadedRings> {
  const events = await sealer.openEvents(stored.events)
  const records = stored.keys.filter((record) => !isDeploymentRecord(record))
  const failures: KeyturnError[] = []
  const keys = await Promise.all(
    records.map(async (record) => {
      const known = opened.get(record.id)
      if (known && isDeepStrictEqual(known.record, record)) return known.key
      try {
        const key = await sealer.open(record)
        opened.set(record.id, { record, key })
        return key
      } catch (error) {
        const closed = closedKey(record, placeOf(record.id, events.events))
        if (!isSealFailure(error)) throw error
        if (!events.events.some((event) => isRevocationOf(event, closed))) failures.push(error)
        return closed
      }
    }),
  )
  const live = new Set(records.map((record) => record.id))
  for (const kid of opened.keys()) if (!live.has(kid)) opened.delete(kid)
  const { heads, forged } = events
  return {
    keys,
    events: events.events,
    records: { keys: records.filter((_, i) => keys[i]?.isOpen), events: events.records },
    heads,
    missing: missingEvents(keys, events),
    forged,
    failures,
    hasDeployment: stored.keys.some(({ id }) => id === sealer.deployment.record.id),
  }
}

/**
 * Content of the records without any check, because the key-encryption key is missing: for people
 * to look at, never to act on. The result cannot tell whether a private half is there.
 */
export function readUncheckedRings({ keys, events }: StoredRings): RingFacts<RingKey> {
  const records = keys.filter((record) => !isDeploymentRecord(record))
  return { keys: records.map(uncheckedKey), events: readUnchecked(events) }
}

/**
 * Refuses a store in which events are missing, because one of them may be a revocation.
 * @throws StoreIncomplete
 */
export function assertComplete<T extends Pick<LoadedRings, 'missing'>>(loaded: T): T {
  if (loaded.missing.length > 0) throw new StoreIncomplete(loaded.missing)
  return loaded
}

/** True for an error of a key that does not open, false for an error of the store. */
export function isSealFailure(error: unknown): error is KeyturnError {
  return [SealBroken, KekMissing, KekEmpty, KekUnreadable].some((kind) => error instanceof kind)
}

function missingEvents(
  keys: readonly RingKey[],
  { records, named, accepted }: OpenedEvents,
): readonly string[] {
  const here = new Set([...records.map(({ id }) => id), ...accepted])
  const wanted = new Set([...named, ...keys.flatMap((key) => key.knows)])
  return [...wanted].filter((id) => !here.has(id)).sort()
}

/** The place of a revoked key, as its revocation says. */
function placeOf(kid: string, events: readonly KeyEvent[]): KeyPlace | undefined {
  const places = events.flatMap((event) => {
    if (event.type === 'revoke') return event.place ?? []
    return event.type === 'revoke-before' ? event.places : []
  })
  return places.find((place) => place.kid === kid)
}
