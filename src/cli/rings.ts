import { KeyturnError, StoreIncomplete } from '../errors.ts'
import type { Pricing } from '../relying-parties/order-price.ts'
import type { RingFacts } from '../ring/lifecycle.ts'
import { isSealFailure, type LoadedRings, readUncheckedRings } from '../ring/loaded-rings.ts'
import { openRingsBy, type RingWork } from '../ring/operate.ts'
import type { RingKey } from '../ring/seal.ts'
import type { Sealer } from '../ring/sealer.ts'
import { isStranger, lackOf, lackWords, type WitnessRecord } from '../witness/witness.ts'
import { authenticWitness } from '../witness/witness-mac.ts'
import { genuineLack, witnessedFacts } from '../witness/witness-watch.ts'
import { withAdvice } from './advice.ts'
import type { Context } from './context.ts'
import type { Session } from './session.ts'

/** What use cases of rings work with. */
export function ringWork({
  stores,
  policies,
  now,
  witness,
}: Omit<Session, keyof Context>): RingWork {
  return { store: stores.keys, openSealer: stores.openSealer, policies, now, witness }
}

/** What prices of orders are worked out from. */
export function pricing({ policies, config, now }: Session): Pricing {
  return { policies, caching: config.rotation, now }
}

/** Tells what is wrong with rings that were opened all the same. */
export async function tellingFaults(
  opening: Promise<LoadedRings>,
  { warn }: Pick<Context, 'warn'>,
): Promise<LoadedRings> {
  const loaded = await opening
  const { forged, missing } = loaded
  if (forged.length > 0) {
    warn(`${forged.length} events fail their check and are not followed: ${forged.join(', ')}`)
  }
  if (missing.length > 0) warn(withAdvice(new StoreIncomplete(missing)))
  return loaded
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
    const opening = openRingsBy(ringWork(session), async (rings) => {
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
    return await tellingFaults(opening, session)
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
