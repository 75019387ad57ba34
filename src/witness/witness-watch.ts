import type { SerializedEvent } from '../ring/key-store.ts'
import type { LoadedRings } from '../ring/loaded-rings.ts'
import type { RotationPolicies } from '../ring/policy.ts'
import type { Sealer } from '../ring/sealer.ts'
import { WitnessOfAnother, WitnessUnreadable } from '../ring/witness-errors.ts'
import type { WitnessHook } from '../ring/witness-hook.ts'
import { assertOurs, lackIn, witnessedFacts } from './comparison.ts'
import { knowRecord } from './known-record.ts'
import {
  cannotTell,
  type FirstLook,
  isOlder,
  lookPatiently,
  type PatienceOptions,
  waitForOthers,
} from './patient-start.ts'
import { type Lack, lackWords, type Witness } from './witness.ts'

/**
 * Compares what is loaded from the key store with the witness. The first load decides whether this
 * node may start. A running node puts back events that the store has lost, as it does with those
 * that it knows itself (`lost.ts`).
 */
export interface WitnessWatch extends WitnessHook {
  readonly status: WitnessStatus
}

/** State of the witness, for readiness. */
export interface WitnessStatus {
  /** Description in words: where the witness is, and its problems. */
  readonly detail: string
  readonly isDegraded: boolean
}

export interface WitnessWatchOptions extends PatienceOptions {
  readonly witness: Witness
  /** True if a missing witness may be begun. */
  readonly mayBegin: boolean
  readonly issuer: string
  readonly policies: RotationPolicies
  /** Puts lost events back into the store. */
  readonly addEvents: (events: readonly SerializedEvent[]) => Promise<void>
}

export function createWitnessWatch(options: WitnessWatchOptions): WitnessWatch {
  const { log } = options
  const { where } = options.witness
  let sealer: Sealer | undefined
  const known = knowRecord(options.witness, log)
  let isStarted = false
  /** Permanent loss of the store, in words. */
  let missing: string | undefined
  let wasMissing = false

  async function load(
    openedBy: Sealer,
    loadStore: () => Promise<LoadedRings>,
  ): Promise<LoadedRings> {
    if (openedBy !== sealer) known.openFor(openedBy.deployment)
    sealer = openedBy
    const facts = isStarted ? await reload(loadStore) : await start(loadStore)
    isStarted = true
    // Generations from before the store was read, because a later one of another node is not lost.
    const seenGenerations = known.record?.generations ?? {}
    await note(facts)
    return { ...facts, seenGenerations }
  }

  async function start(loadStore: () => Promise<LoadedRings>): Promise<LoadedRings> {
    const first = await lookPatiently(() => look(loadStore), options)
    if (cannotTell(first)) {
      wasMissing = true
      log.warn({ witness: where }, CANNOT_TELL)
    }
    return isOlder(first) ? waitForOthers(first, () => look(loadStore), options) : first.facts
  }

  /** @throws WitnessOfAnother, WitnessUnreadable */
  async function look(loadStore: () => Promise<LoadedRings>): Promise<FirstLook> {
    const isKnown = await known.look({ mustBeWhole: true })
    const facts = await loadStore()
    return { facts, lack: await check(facts), isUnwitnessed: isKnown && !known.record }
  }

  async function reload(loadStore: () => Promise<LoadedRings>): Promise<LoadedRings> {
    const before = known.record
    await known.look({ mustBeWhole: false })
    if (before && !known.record) {
      log.warn(
        { witness: where },
        'the witness is gone, and is begun again with what the key store has',
      )
    }
    const facts = await loadStore()
    // An empty store may be the wrong one, which the caller checks.
    const lack = facts.keys.length === 0 ? undefined : await check(facts).catch(replaced)
    function replaced(error: unknown): undefined {
      if (!(error instanceof WitnessOfAnother || error instanceof WitnessUnreadable)) throw error
      // A running node continues and reports the problem in its status.
      known.fallBackTo(before, error)
    }
    missing = lack && lack.generations.length > 0 ? lackWords({ ...lack, events: [] }) : undefined
    if (!lack || lack.events.length === 0) return facts
    await putBack(lack.events, options)
    return loadStore()
  }

  /** @throws WitnessOfAnother, WitnessUnreadable */
  async function check(facts: LoadedRings): Promise<Lack | undefined> {
    const { record } = known
    return record && sealer && lackIn(facts, record, { ...options, sealer, where })
  }

  async function note(facts: LoadedRings): Promise<void> {
    const { record } = known
    const hasKeys = facts.keys.length > 0
    // An emptied store has nothing worth remembering.
    const isBound = record === undefined || record.deployment !== null
    if (!sealer || !isStarted || (!hasKeys && isBound)) return
    if (!options.mayBegin && record === undefined) return
    const seen = witnessedFacts(facts, sealer, options)
    await known.add(seen, (before) => assertOurs(before, { hasKeys, seen }, where))
  }

  return {
    load,
    note,
    get status() {
      const began = wasMissing ? ' (begun at this start: what was before it cannot tell)' : ''
      return statusOf(`${where}${began}`, [
        known.failure,
        missing && `the key store lacks ${missing}`,
      ])
    },
  }
}

function statusOf(place: string, problems: readonly (string | undefined)[]): WitnessStatus {
  const known = problems.filter((problem) => problem !== undefined)
  return { isDegraded: known.length > 0, detail: [place, ...known].join('; ') }
}

/** Adds events again that the store of a running node has lost. */
async function putBack(
  events: readonly SerializedEvent[],
  { witness, addEvents, log }: WitnessWatchOptions,
): Promise<void> {
  const data = { events: events.map(({ id }) => id), witness: witness.where }
  log.error(data, 'the key store has lost events that the witness remembers; they are added again')
  await addEvents(events)
}

const CANNOT_TELL =
  'this node has no witness of what was revoked and cannot tell whether the key store is older than it ' +
  'was; if it was just restored from a backup, revoke again what was revoked since'
