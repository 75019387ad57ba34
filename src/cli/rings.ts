import { KeyturnError, StoreIncomplete } from '../errors.ts'
import type { RingFacts } from '../ring/lifecycle.ts'
import {
  isSealFailure,
  type LoadedRings,
  NO_RINGS,
  readUncheckedRings,
} from '../ring/loaded-rings.ts'
import { createRings, type Rings } from '../ring/rings.ts'
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
  return load(session, (rings) => rings.load())
}

/** All rings, with keys that do not open: enough to revoke one. */
export async function openRecordedRings(session: Opening): Promise<LoadedRings> {
  return load(session, (rings) => rings.loadRecorded())
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
  const { warn } = session
  try {
    return await load(session, async (rings) => {
      const { sealer } = rings
      // The witness first: all that it remembers stood in the store before.
      const record = await readWitness(session, sealer)
      const loaded = await rings.loadRecorded()
      const seen = witnessedFacts(loaded, sealer, { ...session, issuer: session.config.issuer })
      const isOurs = record && !isStranger(record, seen)
      const lack = isOurs && (await genuineLack(lackOf(record, seen), sealer))
      if (lack) warn(`${outdated(lackWords(lack))} See: keyturn restore check`)
      return loaded
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
  open: (rings: Rings) => Promise<LoadedRings>,
): Promise<LoadedRings> {
  const stored = await stores.keys.load()
  // Looking must not make the key-encryption key of a first start.
  if (stored.keys.length + stored.events.length === 0) return NO_RINGS
  const loaded = await open(createRings({ store: stores.keys, sealer: await stores.openSealer() }))
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
  const { witness } = session
  return load(session, (rings) => (witness ? witness.load(rings.sealer, rings.load) : rings.load()))
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
  const rings = createRings({ store: stores.keys, sealer })
  const loaded = witness ? await witness.load(sealer, rings.load) : await rings.load()
  // A command has just begun and does not know how its clock has behaved.
  const { facts } = await rings.turn(loaded, { policies, now, isClockSettled: false })
  await witness?.note(facts)
  return facts
}
