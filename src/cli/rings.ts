import { KeyturnError, StoreIncomplete } from '../errors.ts'
import { allStates, type RingFacts } from '../ring/lifecycle.ts'
import {
  isSealFailure,
  type LoadedRings,
  loadRecordedRings,
  loadRings,
  NO_RINGS,
  readUncheckedRings,
  turnRings,
} from '../ring/rotate.ts'
import type { RingKey } from '../ring/seal.ts'
import type { Sealer } from '../ring/sealer.ts'
import { isStranger, lackOf, lackWords, type WitnessRecord } from '../witness/witness.ts'
import { authenticWitness } from '../witness/witness-mac.ts'
import { genuineLack, witnessedFacts } from '../witness/witness-watch.ts'
import { withAdvice } from './advice.ts'
import type { Session } from './session.ts'

/**
 * All rings.
 * @throws SealBroken, KekMissing and their like for a key that does not open and is not revoked
 */
export async function openRings(session: Opening): Promise<LoadedRings> {
  return load(session, (sealer) => loadRings(session.stores.keys, sealer))
}

/** All rings, with keys that do not open: enough to revoke one. */
export async function openRecordedRings(session: Opening): Promise<LoadedRings> {
  return load(session, (sealer) => loadRecordedRings(session.stores.keys, sealer))
}

/** Rings for a listing, and what is wrong with them. */
export interface ShownRings extends RingFacts<RingKey> {
  /** A listing shows what there is, and fails then. */
  readonly failures: readonly KeyturnError[]
}

/**
 * All rings, for a listing: where the key-encryption key is away, as the records say.
 * @throws StoreUnavailable, StoreUnreadable
 */
export async function showRings(session: Session): Promise<ShownRings> {
  const { stores, warn } = session
  try {
    return await load(session, async (sealer) => {
      // The witness first: all that it remembers stood in the store before.
      const record = await readWitness(session, sealer)
      const rings = await loadRecordedRings(stores.keys, sealer)
      const seen = witnessedFacts(rings, sealer, { ...session, issuer: session.config.issuer })
      const isOurs = record && !isStranger(record, seen)
      const lack = isOurs && (await genuineLack(lackOf(record, seen), sealer))
      if (lack) warn(`${outdated(lackWords(lack))} See: keyturn restore check`)
      return rings
    })
  } catch (error) {
    if (!isSealFailure(error)) throw error
    session.warn('The keys cannot be opened. This is what their records say, unchecked:')
    const facts = readUncheckedRings(await session.stores.keys.load())
    return { ...facts, failures: [error] }
  }
}

/** Undefined also where it does not work, which a start and `restore check` say. */
async function readWitness(
  { stores: { witness } }: Session,
  { deployment }: Sealer,
): Promise<WitnessRecord | undefined> {
  return witness && authenticWitness(witness, deployment).read().catch(ifUnusable)
}

function ifUnusable(error: unknown): undefined {
  if (!(error instanceof KeyturnError)) throw error
}

function outdated(missing: string): string {
  return `The key store is older than what was seen of it, and no server starts on it: it lacks ${missing}.`
}

type Opening = Pick<Session, 'stores' | 'warn'>

async function load(
  { stores, warn }: Opening,
  open: (sealer: Sealer) => Promise<LoadedRings>,
): Promise<LoadedRings> {
  const stored = await stores.keys.load()
  // Looking must not make the key-encryption key of a first start.
  if (stored.keys.length + stored.events.length === 0) return NO_RINGS
  const loaded = await open(await stores.openSealer())
  const { forged, missing } = loaded
  if (forged.length > 0) {
    warn(`${forged.length} events fail their check and are not followed: ${forged.join(', ')}`)
  }
  if (missing.length > 0) warn(withAdvice(new StoreIncomplete(missing)))
  return loaded
}

/**
 * All rings, for who wants to change something of them.
 * @throws StoreOutdated where the store lacks what the witness remembers, and what `openRings` throws
 */
export async function openRingsToChange(session: Session): Promise<LoadedRings> {
  const { stores, witness } = session
  return load(session, (sealer) => {
    const read = () => loadRings(stores.keys, sealer)
    return witness ? witness.load(sealer, read) : read()
  })
}

type Turning = Pick<Session, 'stores' | 'policies' | 'now' | 'witness'>

/**
 * Does what the plan says now, as a running server would at its next turn, and loads the rings
 * again. Both may do it at once: every action is safe to do twice.
 * @throws StoreOutdated where the store lacks what the witness remembers
 */
export async function turnStoredRings(session: Turning): Promise<LoadedRings> {
  return turnRingsWith(await session.stores.openSealer(), session)
}

/** The same with a sealer that is not the one of a start. */
export async function turnRingsWith(
  sealer: Sealer,
  { stores, policies, now, witness }: Turning,
): Promise<LoadedRings> {
  const store = stores.keys
  const read = () => loadRings(store, sealer)
  const facts = witness ? await witness.load(sealer, read) : await read()
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
  await witness?.note(turn.facts)
  return turn.facts
}
