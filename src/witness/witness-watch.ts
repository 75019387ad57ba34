import type { Clock } from '../clock.ts'
import { StoreUnavailable } from '../errors.ts'
import type { KeyStore, SerializedEvent } from '../ring/key-store.ts'
import type { LoadedRings } from '../ring/loaded-rings.ts'
import type { RotationPolicies } from '../ring/policy.ts'
import type { RingLog } from '../ring/ring-log.ts'
import type { Sealer } from '../ring/sealer.ts'
import { StoreOutdated, WitnessOfAnother, WitnessUnreadable } from '../ring/witness-errors.ts'
import type { WitnessHook } from '../ring/witness-hook.ts'
import {
  highestGenerations,
  isOfOtherDeployment,
  type Lack,
  lackLines,
  lackOf,
  lackWords,
  unlessEmpty,
  type Witness,
  type WitnessedFacts,
  type WitnessRecord,
  witnessed,
} from './witness.ts'
import { type AuthenticWitness, authenticWitness } from './witness-mac.ts'

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
  const { where, canBeAway } = options.witness
  let sealer: Sealer | undefined
  let witness: AuthenticWitness = authenticWitness(options.witness, undefined)
  /** The record as last read or written. */
  let record: WitnessRecord | undefined
  let isStarted = false
  /** Problem of the witness itself, in words. */
  let failure: string | undefined
  /** True after a failed write, until a write succeeds. */
  let hasWriteFailed = false
  /** Permanent loss of the store, in words. */
  let missing: string | undefined
  let wasMissing = false
  /** Message of the lasting failure that was logged. */
  let loggedFailure: string | undefined

  async function load(
    openedBy: Sealer,
    loadStore: () => Promise<LoadedRings>,
  ): Promise<LoadedRings> {
    if (openedBy !== sealer) witness = authenticWitness(options.witness, openedBy.deployment)
    sealer = openedBy
    const facts = isStarted ? await reload(loadStore) : await start(loadStore)
    isStarted = true
    // Generations from before the store was read, because a later one of another node is not lost.
    const seenGenerations = record?.generations ?? {}
    await note(facts)
    return { ...facts, seenGenerations }
  }

  async function start(loadStore: () => Promise<LoadedRings>): Promise<LoadedRings> {
    const isKnown = await look({ mustBeWhole: true })
    let facts = await loadStore()
    if (isKnown && record === undefined && facts.keys.length + facts.events.length > 0) {
      wasMissing = true
      log.warn({ witness: where }, CANNOT_TELL)
    }
    let lack = await check(facts)
    const isOlder = () => lack !== undefined || facts.missing.length > 0
    if (!isOlder()) return facts

    const until = clock.elapsed() + options.patience
    if (options.patience > 0) {
      const data = { missing: lack ? lackLines(lack) : facts.missing, seconds: options.patience }
      log.warn(
        data,
        `the key store is older than it was; this start waits ${options.patience} s, because other nodes may ` +
          'put back what it lacks',
      )
      await options.wakeOthers()
    }
    while (isOlder() && clock.elapsed() < until) {
      await clock.sleep(LOOK_PAUSE, new AbortController().signal)
      await look({ mustBeWhole: true })
      facts = await loadStore()
      lack = await check(facts)
    }
    if (lack) throw new StoreOutdated(lackWords(lack), where)
    if (!isOlder()) log.info({}, 'other nodes have put back what the key store lacked')
    return facts
  }

  async function reload(loadStore: () => Promise<LoadedRings>): Promise<LoadedRings> {
    const before = record
    await look({ mustBeWhole: false })
    if (before && !record) {
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
      record = before
      fail(error)
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
    if (!record || !sealer) return undefined
    const seen = witnessedFacts(facts, sealer, options)
    assertOurs(record, facts, seen)
    if (facts.keys.length > 0) assertOfSomebody(record, where)
    return genuineLack(lackOf(record, seen), sealer)
  }

  /** @throws WitnessOfAnother, WitnessUnreadable */
  function assertOurs(found: WitnessRecord, facts: LoadedRings, seen: WitnessedFacts): void {
    if (isOfOtherDeployment(found, seen)) throw new WitnessOfAnother(where, found.issuer)
    // After an accepted loss the witness has no deployment until the first keys are made.
    if (isUnbound(found) && facts.keys.length > 0) assertOfSomebody(found, where)
  }

  /**
   * Reads the witness. Always called before the store is read, because everything that the witness
   * remembers was in the store before.
   * @returns false if the witness could not be read, which is tolerated if it may be unavailable
   */
  async function look({ mustBeWhole }: { mustBeWhole: boolean }): Promise<boolean> {
    try {
      record = await witness.read()
      // A successful read does not show that writing works.
      if (!hasWriteFailed) failure = undefined
      return true
    } catch (error) {
      const isAway = error instanceof StoreUnavailable
      if (mustBeWhole && !(isAway && canBeAway)) throw error
      if (!isAway && !(error instanceof WitnessUnreadable)) throw error
      fail(error)
      return false
    }
  }

  function fail(error: Error): void {
    if (loggedFailure !== error.message) {
      log.warn({ err: error }, 'the witness does not work; key rotation continues')
    }
    failure = error.message
    loggedFailure = failure
  }

  async function note(facts: LoadedRings): Promise<void> {
    // An emptied store has nothing worth remembering.
    const isBound = record === undefined || record.deployment !== null
    if (!sealer || !isStarted || (facts.keys.length === 0 && isBound)) return
    if (!options.mayBegin && record === undefined) return
    const seen = witnessedFacts(facts, sealer, options)
    if (failure === undefined && record && witnessed(record, seen) === record) {
      loggedFailure = undefined
      return
    }
    try {
      record = await witness.update((before) => {
        assertOurs(before, facts, seen)
        return witnessed(before, seen)
      })
      hasWriteFailed = false
      failure = undefined
      loggedFailure = undefined
    } catch (error) {
      hasWriteFailed = true
      fail(error instanceof Error ? error : new Error(String(error)))
    }
  }

  return {
    load,
    note,
    get status() {
      const amiss = [
        ...(failure === undefined ? [] : [failure]),
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

const CANNOT_TELL =
  'this node has no witness of what was revoked and cannot tell whether the key store is older than it ' +
  'was; if it was just restored from a backup, revoke again what was revoked since'

/**
 * The facts of the store that are compared with the witness. The generation of a key that does not
 * open may be forged, and is trusted only if an event confirms it.
 */
export function witnessedFacts(
  facts: LoadedRings,
  { deployment }: Pick<Sealer, 'deployment'>,
  { issuer, policies }: Pick<WitnessWatchOptions, 'issuer' | 'policies'>,
): WitnessedFacts {
  return {
    deployments: [deployment.kid, ...deployment.former],
    issuer,
    events: facts.records.events,
    generations: highestGenerations(facts.keys.filter((key) => !key.isUnplaced)),
    given: facts.events.flatMap((event) => (event.type === 'accept' ? event.missing : [])),
    configured: policies.rings.map(({ ring }) => ring),
  }
}

/**
 * A witness that is removed is loggedFailure of at the next start. One that somebody emptied says
 * as little, and must not pass for whole.
 * @throws WitnessUnreadable
 */
export function assertOfSomebody({ deployment }: WitnessRecord, where: string): void {
  if (deployment !== null) return
  throw new WitnessUnreadable(where, 'it does not say which deployment it is of')
}

/** True if a record has content and no deployment, so that its MAC cannot be checked. */
function isUnbound({ deployment, events, generations }: WitnessRecord): boolean {
  return deployment === null && events.length + Object.keys(generations).length > 0
}

/** The lack without events that are not genuine, or that were given up with a secret. */
export async function genuineLack(
  lack: Lack | undefined,
  { openEvents }: Pick<Sealer, 'openEvents'>,
): Promise<Lack | undefined> {
  return lack && unlessEmpty({ ...lack, events: (await openEvents(lack.events)).records })
}

/**
 * Refuses a key store that is empty although the witness remembers its content. Called before
 * anything is made in the store, in particular the secret of another deployment.
 * @throws StoreOutdated, WitnessUnreadable
 */
export async function assertNotEmptied(
  witness: Witness,
  store: Pick<KeyStore, 'load'>,
): Promise<void> {
  const { keys, events } = await store.load()
  if (keys.length + events.length > 0) return
  const record = await witness.read().catch((error: unknown) => {
    if (error instanceof StoreUnavailable && witness.canBeAway) return undefined
    throw error
  })
  const lack = record && lackOfEverything(record)
  if (lack) throw new StoreOutdated(lackWords(lack), witness.where)
}

/** The lack of an empty store. */
export function lackOfEverything(record: WitnessRecord): Lack | undefined {
  const configured = Object.keys(record.generations)
  return lackOf(record, { events: [], generations: {}, given: [], configured })
}
