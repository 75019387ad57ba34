import { decodeProtectedHeader, type JWK } from 'jose'
import { KekEmpty, KekMissing, KekUnreadable, SealBroken } from '../errors.ts'
import type { KeyFacts } from '../keys/key.ts'
import type { SerializedKey, StoredRings } from '../keys/key-store.ts'
import { isRevocationOf, type RingFacts } from '../keys/lifecycle.ts'
import { plan } from '../keys/plan.ts'
import { applyAction, loadRings } from '../keys/rotate.ts'
import type { RingKey, Sealer } from '../keys/seal.ts'
import type { Session } from './session.ts'

/** A key as commands show it. */
export interface ShownKey extends KeyFacts {
  readonly publicJwk: JWK | undefined
  /** kid of the KEK it is sealed under; null where its record does not say. */
  readonly protectedBy: string | null
  /** False for a key of which only the record is known. */
  readonly isOpen: boolean
}

/**
 * All rings. A key that is revoked and does not open is there as its record says: its generation
 * stays taken, and that it was revoked while it signed is what makes the standby sign at once.
 * @throws SealBroken, KekMissing and their like for any other key that does not open
 */
export async function openRings({ stores }: Pick<Session, 'stores'>): Promise<RingFacts<ShownKey>> {
  const stored = await stores.keys.load()
  if (stored.keys.length === 0) return { keys: [], events: stored.events }
  const sealer = await stores.openSealer()
  return shownRings(stored, await loadRings(stores.keys, sealer, new Map()))
}

/**
 * Does what the plan says now, as a running server would at its next turn, and loads the rings
 * again. Both may do it at once: every action is safe to do twice.
 */
export async function turnRings({
  stores,
  policies,
  now,
}: Pick<Session, 'stores' | 'policies' | 'now'>): Promise<RingFacts<ShownKey>> {
  const store = stores.keys
  const sealer: Sealer = await stores.openSealer()
  const opened = await loadRings(store, sealer, new Map())
  const { actions } = plan(shownRings(await store.load(), opened), policies, now)
  for (const action of actions) await applyAction(action, opened, { store, sealer })
  return openRings({ stores })
}

/** The rings as their records say, without opening a key: enough to revoke one that does not open. */
export function recordedRings({ keys, events }: StoredRings): RingFacts<ShownKey> {
  return { keys: keys.map(factsOfRecord), events }
}

/** Is it a key, or what it is sealed under, that does not open? */
export function isSealFailure(error: unknown): error is SealBroken | KekMissing {
  return [SealBroken, KekMissing, KekEmpty, KekUnreadable].some((kind) => error instanceof kind)
}

function shownRings(
  stored: StoredRings,
  { keys, events }: RingFacts<RingKey>,
): RingFacts<ShownKey> {
  const isKnown = new Set(keys.map((key) => key.kid))
  const closed = stored.keys
    .map((record) => ({ ...factsOfRecord(record), hasPrivateHalf: false }))
    .filter((key) => !isKnown.has(key.kid) && events.some((event) => isRevocationOf(event, key)))
  return { keys: [...keys.map((key) => ({ ...key, isOpen: true })), ...closed], events }
}

function factsOfRecord(record: SerializedKey): ShownKey {
  const { id: kid, ring, generation, algorithm, created: createdAt, activatesAt } = record
  return {
    kid,
    ring,
    generation,
    algorithm,
    createdAt,
    activatesAt,
    retention: record.retention,
    hasPrivateHalf: true,
    publicJwk: undefined,
    protectedBy: kekOf(record),
    isOpen: false,
  }
}

function kekOf({ data }: SerializedKey): string | null {
  try {
    return decodeProtectedHeader(data).kid ?? null
  } catch {
    return null
  }
}
