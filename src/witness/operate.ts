import { KeyturnError, NotFound, Refused } from '../errors.ts'
import { readUnchecked } from '../ring/event-record.ts'
import type { KeyEvent } from '../ring/key.ts'
import type { RingFacts } from '../ring/lifecycle.ts'
import {
  isSealFailure,
  type LoadedRings,
  NO_RINGS,
  readUncheckedRings,
} from '../ring/loaded-rings.ts'
import { openRingsBy, type RingWork } from '../ring/operate.ts'
import { newlyRevoked, type Order, orderAcceptance } from '../ring/orders.ts'
import type { RingKey } from '../ring/ring-key.ts'
import { createRings } from '../ring/rings.ts'
import type { Sealer } from '../ring/sealer.ts'
import { WitnessOfAnother } from '../ring/witness-errors.ts'
import { assertOfSomebody, genuineLack, lackOfEverything, witnessedFacts } from './comparison.ts'
import {
  givenUp,
  isOfOtherDeployment,
  type Lack,
  lackOf,
  type Witness,
  type WitnessRecord,
  withAccepted,
} from './witness.ts'
import { authenticWitness } from './witness-mac.ts'

/** Orders of operators for a key store that was set back to an older state. */

export interface RestoreWork extends Omit<RingWork, 'witness'> {
  readonly issuer: string
  /** Witness; undefined if the configuration names none. */
  readonly remembered: Witness | undefined
}

/** Losses of a key store, found by the witness and by records that name missing events. */
export interface Findings {
  readonly facts: LoadedRings
  /** Undefined if the key store is empty. */
  readonly sealer: Sealer | undefined
  readonly record: WitnessRecord | undefined
  /** Place of the witness. */
  readonly where: string
  /** Content of the witness that the store lacks. */
  readonly lack: Lack
  /** Ids of events that other records name and that the witness lacks too. */
  readonly gone: readonly string[]
}

export interface RestoreOrder extends Order {
  /** True to check the order without carrying it out. */
  readonly dryRun: boolean
}

const NO_LACK: Lack = { events: [], generations: [] }

/**
 * Finds out what the key store lacks.
 * @param whyNoWitness reason in words, for the error of a store that cannot be checked
 * @throws NotFound if the store cannot be checked, WitnessOfAnother, WitnessUnreadable, and errors
 * of opening keys
 */
export async function findLack(work: RestoreWork, whyNoWitness: string): Promise<Findings> {
  const { store, remembered, issuer, policies } = work
  const stored = await store.load()
  const isEmpty = stored.keys.length + stored.events.length === 0
  const sealer = isEmpty ? undefined : await work.openSealer()
  // The witness first: all that it remembers stood in the store before.
  const record = remembered && (await authenticWitness(remembered, sealer?.deployment).read())
  const facts = sealer ? await createRings({ store, sealer }).loadRecorded() : NO_RINGS
  const where = remembered?.where ?? 'none'
  if (!record && facts.missing.length === 0) {
    const text = 'Nobody can tell whether the key store is older than it was.'
    throw new NotFound('witness_not_found', {}, `There is no witness, ${whyNoWitness}. ${text}`)
  }

  const seen = sealer && witnessedFacts(facts, sealer, { issuer, policies })
  if (record && seen) {
    assertOfSomebody(record, where)
    if (isOfOtherDeployment(record, seen)) throw new WitnessOfAnother(where, record.issuer)
  }
  const found = record && (seen ? lackOf(record, seen) : lackOfEverything(record))
  const lack = (sealer ? await genuineLack(found, sealer) : found) ?? NO_LACK
  const back = new Set(lack.events.map(({ id }) => id))
  const gone = facts.missing.filter((id) => !back.has(id))
  return { facts, sealer, record, where, lack, gone }
}

/** True if the store has everything that is remembered. */
export function isWhole({ lack, gone }: Pick<Findings, 'lack' | 'gone'>): boolean {
  return lack.events.length + lack.generations.length + gone.length === 0
}

/**
 * The missing events. They were checked before, or the store is empty and has no secret to check
 * them.
 */
export function missingEvents({ events }: Lack): readonly KeyEvent[] {
  return readUnchecked(events)
}

/** Kids of keys in the store that only the missing events revoke. */
export function trustedWithout(
  { facts, lack }: Pick<Findings, 'facts' | 'lack'>,
  { policies, now }: Pick<RestoreWork, 'policies' | 'now'>,
): readonly string[] {
  const after = { ...facts, events: [...facts.events, ...missingEvents(lack)] }
  return newlyRevoked({ before: facts, after }, policies, now)
}

/**
 * Puts back what the key store lacks, so that revoked keys are revoked again. Keys cannot be put
 * back, because no copy of them is kept: their generations are given up, and not used again.
 * @throws Refused if the store is empty
 */
export async function putBackLack(
  { sealer, lack, gone }: Findings,
  { dryRun, ...order }: RestoreOrder,
  work: RestoreWork,
): Promise<void> {
  if (!sealer) {
    if (isWhole({ lack, gone })) return
    throw new Refused(
      'restore_needs_backup',
      {},
      'The key store is empty: events alone do not bring back its keys. Restore a backup, or begin anew.',
    )
  }
  if (dryRun) return
  await work.store.addEvents(lack.events)
  if (lack.generations.length === 0) return
  await giveUp(givenUp({ ...lack, events: [] }), { sealer, ...order }, work)
}

/** Accepts the older key store: keys that were revoked since are trusted again. */
export async function acceptLack(
  { sealer, lack, gone }: Findings,
  { dryRun, actor, reason }: RestoreOrder,
  work: RestoreWork,
): Promise<void> {
  if (dryRun || isWhole({ lack, gone })) return
  if (sealer) return giveUp([...givenUp(lack), ...gone], { sealer, actor, reason }, work)
  // An empty store cannot record the acceptance, so the witness does.
  const acceptance = { at: work.now, actor, reason }
  await work.remembered?.update((record) => withAccepted(record, lack, acceptance))
}

/** Records in the store that the missing events and generations are given up. */
async function giveUp(
  missing: readonly string[],
  { sealer, ...order }: Order & { readonly sealer: Sealer },
  { store, policies, now }: RestoreWork,
): Promise<void> {
  const rings = createRings({ store, sealer })
  const ring = policies.rings[0]?.ring ?? 'cookie'
  const action = orderAcceptance(ring, missing, { now, ...order })
  await rings.apply(action, await rings.loadRecorded())
}

/** Rings for a listing, with their problems. */
export interface ShownRings extends RingFacts<RingKey> {
  /** Error of the first key that does not open: a listing shows the rings and then fails. */
  readonly failure: KeyturnError | undefined
  /** True if no key could be opened, so that the records are shown unchecked. */
  readonly isUnchecked: boolean
  /** Content of the witness that the store lacks. */
  readonly lack: Lack | undefined
  /** Ids of events that fail their check, and of missing events that other records name. */
  readonly forged: readonly string[]
  readonly missing: readonly string[]
}

/**
 * All rings, for a listing; unchecked records if the key-encryption key is unavailable.
 * @throws StoreUnavailable, StoreUnreadable
 */
export async function showRings(work: RestoreWork): Promise<ShownRings> {
  let lack: Lack | undefined
  try {
    const loaded = await openRingsBy(work, async (rings) => {
      // The witness first: all that it remembers stood in the store before.
      const record = await readIfUsable(work.remembered, rings.sealer)
      const recorded = await rings.loadRecorded()
      const seen = witnessedFacts(recorded, rings.sealer, work)
      if (record && !isOfOtherDeployment(record, seen)) {
        lack = await genuineLack(lackOf(record, seen), rings.sealer)
      }
      return recorded
    })
    return { ...loaded, failure: loaded.failures[0], isUnchecked: false, lack }
  } catch (error) {
    if (!isSealFailure(error)) throw error
    const facts = readUncheckedRings(await work.store.load())
    const nothing = { lack: undefined, forged: [], missing: [] }
    return { ...facts, ...nothing, failure: error, isUnchecked: true }
  }
}

/**
 * The witness's record; undefined also if reading fails, because a start and `findLack` report
 * that.
 */
async function readIfUsable(
  witness: Witness | undefined,
  { deployment }: Sealer,
): Promise<WitnessRecord | undefined> {
  try {
    return witness && (await authenticWitness(witness, deployment).read())
  } catch (error) {
    if (!(error instanceof KeyturnError)) throw error
    return undefined
  }
}
