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
import { generateKey } from './generate.ts'
import type { KeyEvent, KeyPlace } from './key.ts'
import type { KeyStore, SerializedEvent, SerializedKey, StoredRings } from './key-store.ts'
import { isRevocationOf, type RingFacts } from './lifecycle.ts'
import { type Action, plan } from './plan.ts'
import type { RotationPolicies } from './policy.ts'
import { closedKey, type RingKey, uncheckedKey } from './seal.ts'
import type { Sealer } from './sealer.ts'

/**
 * Loading the rings from a store and doing what a plan says. Deciding is in `plan.ts`; what a store has
 * lost is added again in `watchful-load.ts`, and expiries are recorded in `authorize.ts`.
 */

/** Keys that are open, by kid, with the record that each was opened from. */
export type OpenedKeys = Map<string, { readonly record: SerializedKey; readonly key: RingKey }>

/** All that is genuine in a store. */
export interface LoadedRings extends RingFacts<RingKey> {
  /** The records of the events. */
  readonly records: readonly SerializedEvent[]
  /** Ids of the newest events, which the next key or event names. */
  readonly heads: readonly string[]
  /** Ids of events that keys or events name and that are not there: they were deleted or rolled back. */
  readonly missing: readonly string[]
  /** Ids of event records that fail their check. */
  readonly forged: readonly string[]
  /** Why a key that is not revoked does not open. */
  readonly failures: readonly KeyturnError[]
  /** Is the record of the deployment's secret there? */
  readonly hasDeployment: boolean
}

/**
 * Opens everything in the store.
 * @param opened keys that were open before, which are not opened again; brought up to date
 * @throws StoreUnavailable, StoreUnreadable, KekMissing, SealBroken. A key that cannot be opened is
 *   an error and never replaced; only a revoked one may stay closed, as nobody needs it.
 */
export async function loadRings(
  store: KeyStore,
  sealer: Sealer,
  opened: OpenedKeys = new Map(),
): Promise<LoadedRings> {
  const loaded = await loadRecordedRings(store, sealer, opened)
  if (loaded.failures[0]) throw loaded.failures[0]
  return loaded
}

/**
 * The same with keys that do not open: enough to revoke one.
 * @throws StoreUnavailable, StoreUnreadable
 */
export async function loadRecordedRings(
  store: KeyStore,
  sealer: Sealer,
  opened: OpenedKeys = new Map(),
): Promise<LoadedRings> {
  const loaded = await open(await store.load(), sealer, opened)
  // A store that is no database may have been read while both an event and one that names it came.
  return loaded.missing.length === 0 ? loaded : open(await store.load(), sealer, opened)
}

/**
 * What the records say while the key-encryption key is away, so that nothing can be checked: for people
 * to look at, never to act on. Whether private halves are there cannot be seen.
 */
export function readUncheckedRings({ keys, events }: StoredRings): RingFacts<RingKey> {
  const records = keys.filter((record) => !isDeploymentRecord(record))
  return { keys: records.map(uncheckedKey), events: readUnchecked(events) }
}

/** No keys and no events, as at a first start. */
export const NO_RINGS: LoadedRings = {
  keys: [],
  events: [],
  records: [],
  heads: [],
  missing: [],
  forged: [],
  failures: [],
  hasDeployment: false,
}

/**
 * Refuses to go on from a store in which events are missing: one may be a revocation.
 * @throws StoreIncomplete
 */
export function assertComplete<T extends Pick<LoadedRings, 'missing'>>(loaded: T): T {
  if (loaded.missing.length > 0) throw new StoreIncomplete(loaded.missing)
  return loaded
}

async function open(stored: StoredRings, sealer: Sealer, opened: OpenedKeys): Promise<LoadedRings> {
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
  for (const id of opened.keys()) if (!live.has(id)) opened.delete(id)
  const { records: genuine, heads, forged } = events
  const hasDeployment = stored.keys.some(({ id }) => id === sealer.deployment.record.id)
  const missing = missingEvents(keys, events)
  const found = { records: genuine, heads, forged, missing, failures, hasDeployment }
  return { keys, events: events.events, ...found }
}

/** Is it a key, or what it is sealed under, that does not open? */
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

/** Where a revoked key stood, as its revocation says. */
function placeOf(kid: string, events: readonly KeyEvent[]): KeyPlace | undefined {
  const places = events.flatMap((event) => {
    if (event.type === 'revoke') return event.place ?? []
    return event.type === 'revoke-before' ? event.places : []
  })
  return places.find((place) => place.kid === kid)
}

export interface Turn {
  readonly facts: LoadedRings
  /** What could not be planned and why. */
  readonly warnings: readonly string[]
}

/**
 * Does what the plan says at `now`, as far as `mayDo` allows, and loads the rings again where it did
 * anything. Nodes and commands may do it at once: every action is safe to do twice.
 * @throws what `loadRings` throws, and StoreIncomplete
 */
export async function turnRings(
  loaded: LoadedRings,
  { store, sealer, policies, opened, now, mayDo, onDone }: TurnOptions,
): Promise<Turn> {
  const facts = assertComplete(loaded)
  const { actions, warnings } = plan(facts, policies, now)
  const allowed = actions.filter(mayDo)
  let { heads } = facts
  for (const action of allowed) {
    const done = await applyAction(action, { ...facts, heads }, { store, sealer })
    heads = done.heads
    onDone?.(action, done.isOurs)
  }
  return {
    facts: allowed.length === 0 ? facts : await loadRings(store, sealer, opened),
    warnings,
  }
}

export interface TurnOptions {
  readonly store: KeyStore
  readonly sealer: Sealer
  readonly policies: RotationPolicies
  readonly opened?: OpenedKeys
  readonly now: number
  readonly mayDo: (action: Action) => boolean
  readonly onDone?: (action: Action, isOurs: boolean) => void
}

/** What became of an action. */
export interface Done {
  /** False where another node had made the key. */
  readonly isOurs: boolean
  /** Ids of the newest events from now on. */
  readonly heads: readonly string[]
}

/**
 * Does one action of a plan. Safe to do twice and on several nodes at once: (ring, generation) is
 * unique, an erasure only takes away, events are followed once.
 */
export async function applyAction(
  action: Action,
  { keys, heads }: Pick<LoadedRings, 'keys' | 'heads'>,
  { store, sealer }: { store: KeyStore; sealer: Sealer },
): Promise<Done> {
  switch (action.type) {
    case 'create': {
      const { type, reason, ...planned } = action
      const { kid, jwk } = await generateKey(planned.algorithm)
      // Another node may have made this generation first; its key is as good as ours.
      const stored = await store.addKey(await sealer.seal({ ...planned, kid }, jwk, heads))
      return { isOurs: stored.id === kid, heads }
    }
    case 'record': {
      const record = await sealer.sealEvent(action.event, heads)
      await store.addEvents([record])
      return { isOurs: true, heads: [record.id] }
    }
    case 'erase': {
      const key = keys.find((candidate) => candidate.kid === action.kid)
      if (key) await store.eraseKey(await sealer.erase(key, heads))
      return { isOurs: true, heads }
    }
    case 'delete':
      await store.removeKey(action.kid)
      return { isOurs: true, heads }
  }
}
