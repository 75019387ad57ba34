import type { Clock } from '../clock.ts'
import type { SerializedEvent } from '../ring/key-store.ts'
import type { LoadedRings } from '../ring/loaded-rings.ts'
import type { RotationPolicies } from '../ring/policy.ts'
import type { RingLog } from '../ring/ring-log.ts'
import type { Sealer } from '../ring/sealer.ts'
import { StoreOutdated, WitnessOfAnother, WitnessUnreadable } from '../ring/witness-errors.ts'
import type { WitnessHook } from '../ring/witness-hook.ts'
import { assertOfSomebody, assertOurs, genuineLack, witnessedFacts } from './comparison.ts'
import { knowRecord } from './known-record.ts'
import { type Lack, lackLines, lackOf, lackWords, type Witness } from './witness.ts'

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

export interface WitnessWatchOptions {
  readonly witness: Witness
  /** True if a missing witness may be begun. */
  readonly mayBegin: boolean
  readonly issuer: string
  readonly policies: RotationPolicies
  readonly clock: Clock
  /** Puts lost events back into the store. */
  readonly addEvents: (events: readonly SerializedEvent[]) => Promise<void>
  /** Wakes other nodes, which may still know the lost events and keys. */
  readonly wakeOthers: () => Promise<unknown>
  /**
   * Seconds that a start waits for other nodes to restore the store; 0 if there are no other nodes.
   */
  readonly patience: number
  readonly log: RingLog
}

/** Seconds between two checks while a start waits. */
const LOOK_PAUSE = 1

export function createWitnessWatch(options: WitnessWatchOptions): WitnessWatch {
  const { clock, log } = options
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
    const isKnown = await known.look({ mustBeWhole: true })
    const facts = await loadStore()
    if (isKnown && known.record === undefined && facts.keys.length + facts.events.length > 0) {
      wasMissing = true
      log.warn({ witness: where }, CANNOT_TELL)
    }
    const lack = await check(facts)
    if (!lack && facts.missing.length === 0) return facts
    // The patience includes the time that waking takes.
    const until = clock.elapsed() + options.patience
    if (options.patience > 0) await askOthers(options, lack ? lackLines(lack) : facts.missing)
    return waitForOthers({ facts, lack, until }, loadStore)
  }

  /** @throws StoreOutdated if the store is not restored within the patience of a start */
  async function waitForOthers(
    older: { readonly facts: LoadedRings; readonly lack: Lack | undefined; readonly until: number },
    loadStore: () => Promise<LoadedRings>,
  ): Promise<LoadedRings> {
    let { facts, lack } = older
    const isOlder = () => lack !== undefined || facts.missing.length > 0
    while (isOlder() && clock.elapsed() < older.until) {
      await clock.sleep(LOOK_PAUSE, new AbortController().signal)
      await known.look({ mustBeWhole: true })
      facts = await loadStore()
      lack = await check(facts)
    }
    if (lack) throw new StoreOutdated(lackWords(lack), where)
    if (!isOlder()) log.info({}, 'other nodes have put back what the key store lacked')
    return facts
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
    const data = { events: lack.events.map(({ id }) => id), witness: where }
    log.error(
      data,
      'the key store has lost events that the witness remembers; they are added again',
    )
    await options.addEvents(lack.events)
    return loadStore()
  }

  /**
   * @returns what the store lacks, genuine events only. @throws WitnessOfAnother, WitnessUnreadable
   */
  async function check(facts: LoadedRings): Promise<Lack | undefined> {
    const { record } = known
    if (!record || !sealer) return undefined
    const hasKeys = facts.keys.length > 0
    const seen = witnessedFacts(facts, sealer, options)
    assertOurs(record, { hasKeys, seen }, where)
    if (hasKeys) assertOfSomebody(record, where)
    return genuineLack(lackOf(record, seen), sealer)
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
      const amiss = [
        ...(known.failure === undefined ? [] : [known.failure]),
        ...(missing === undefined ? [] : [`the key store lacks ${missing}`]),
      ]
      const began = wasMissing ? ' (begun at this start: what was before it cannot tell)' : ''
      return {
        isDegraded: amiss.length > 0,
        detail: [`${where}${began}`, ...amiss].join('; '),
      }
    },
  }
}

/** Wakes other nodes and says why this start waits. */
async function askOthers(
  { patience, wakeOthers, log }: WitnessWatchOptions,
  missing: readonly string[],
): Promise<void> {
  log.warn(
    { missing, seconds: patience },
    `the key store is older than it was; this start waits ${patience} s, because other nodes may ` +
      'put back what it lacks',
  )
  await wakeOthers()
}

const CANNOT_TELL =
  'this node has no witness of what was revoked and cannot tell whether the key store is older than it ' +
  'was; if it was just restored from a backup, revoke again what was revoked since'
