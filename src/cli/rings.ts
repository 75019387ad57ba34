import { KekEmpty, KekMissing, KekUnreadable, type KeyturnError, SealBroken } from '../errors.ts'
import type { StoredRings } from '../keys/key-store.ts'
import { allStates, type RingFacts } from '../keys/lifecycle.ts'
import { loadRings, turnRings } from '../keys/rotate.ts'
import { closedKey, type RingKey } from '../keys/seal.ts'
import type { Session } from './session.ts'

/**
 * All rings.
 * @throws SealBroken, KekMissing and their like for a key that does not open and is not revoked
 */
export async function openRings({ stores }: Pick<Session, 'stores'>): Promise<RingFacts<RingKey>> {
  const stored = await stores.keys.load()
  // Looking must not make the key-encryption key of a first start.
  if (stored.keys.length === 0) return { keys: [], events: stored.events }
  return loadRings(stores.keys, await stores.openSealer())
}

/**
 * Does what the plan says now, as a running server would at its next turn, and loads the rings
 * again. Both may do it at once: every action is safe to do twice.
 */
export async function turnStoredRings({
  stores,
  policies,
  now,
}: Pick<Session, 'stores' | 'policies' | 'now'>): Promise<RingFacts<RingKey>> {
  const store = stores.keys
  const sealer = await stores.openSealer()
  const facts = await loadRings(store, sealer)
  // A server knows how its clock has behaved; a command does not, and one that is wrong by months
  // would delete keys that live. What can wait is left to the server.
  const revoked = allStates(facts, policies, now).filter(({ phase }) => phase === 'revoked')
  const isRevoked = (kid: string) => revoked.some(({ key }) => key.kid === kid)
  const turn = await turnRings(facts, {
    store,
    sealer,
    policies,
    now,
    mayDo: (action) =>
      action.type !== 'delete' && (action.type !== 'erase' || isRevoked(action.kid)),
  })
  return turn.facts
}

/**
 * The rings as their records say, without opening a key: enough to revoke one that does not open.
 * Whether a private half is there cannot be seen; where it is not, the phases would be others.
 */
export function recordedRings({ keys, events }: StoredRings): RingFacts<RingKey> {
  return { keys: keys.map((record) => ({ ...closedKey(record), hasPrivateHalf: true })), events }
}

/** Is it a key, or what it is sealed under, that does not open? */
export function isSealFailure(error: unknown): error is KeyturnError {
  return [SealBroken, KekMissing, KekEmpty, KekUnreadable].some((kind) => error instanceof kind)
}
