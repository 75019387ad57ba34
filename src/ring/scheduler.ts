import type { Clock } from '../clock.ts'
import { ClockWrong, KeyturnError, StoreIncomplete } from '../errors.ts'
import type { ClockCheck } from './clock-check.ts'
import { watchClock } from './clock-jumps.ts'
import type { KeyStore } from './key-store.ts'
import { eraseAt } from './lifecycle.ts'
import { together } from './lost.ts'
import { type Authorize, createAuthorize } from './may-sign.ts'
import type { Action } from './plan.ts'
import type { RotationPolicies } from './policy.ts'
import { createPublisher } from './publisher.ts'
import type { RingLog } from './ring-log.ts'
import { isSealFailure, type LoadedRings, type OpenedKeys, turnRings } from './rotate.ts'
import type { Sealer } from './sealer.ts'
import type { RingStatus } from './status.ts'
import type { RingView } from './view.ts'
import { createWatchfulLoad } from './watchful-load.ts'
import type { WitnessHook } from './witness-hook.ts'

/**
 * The loop that turns the rings: load, plan, apply, publish, sleep until the next change. A second loop
 * keeps time (`publisher.ts`). Requests never make keys.
 */
export interface Scheduler {
  /** Loads, plans, applies and publishes once. @throws what the store or a seal throws */
  runOnce(): Promise<RingView>
  /** Turns until stopped; a failure is reported and tried again. */
  start(): void
  /** Cuts the sleep short: something happened that the ring should see now. */
  wake(): void
  /**
   * A token of ours names a key that this node does not know: another node may have loaded it
   * already. Turns once, at most once a second. Never rejects.
   */
  lookFor(kid: string): Promise<void>
  /** Asked at each signature. */
  readonly authorize: Authorize
  stop(): Promise<void>
  readonly status: RingStatus
}

export interface SchedulerOptions {
  readonly store: KeyStore
  readonly sealer: Sealer
  readonly policies: RotationPolicies
  readonly clock: Clock
  readonly databaseClock: ClockCheck
  /** Seconds between loads while nothing is due; shortened at random by up to 20 %. */
  readonly refreshInterval: number
  /** Seconds after which a ring that could not be loaded is too old to sign with. */
  readonly maxRingAge: number
  /** Largest believable step of the wall clock between two turns, in seconds. */
  readonly clockSkew: number
  /** Called with every view that differs from the one before, before the turn ends. */
  readonly onView: (view: RingView) => void | Promise<void>
  /** Called after every turn, be it done or failed. Never throws. */
  readonly afterTurn?: () => void
  readonly log: RingLog
  /** Remembers outside the store; undefined where nobody does. */
  readonly witness?: WitnessHook | undefined
}

/** First wait after a failure, in seconds; doubles up to the refresh interval. */
const FIRST_RETRY = 1

/** Seconds between two turns that requests cause: anybody can invent a kid. */
const LOOK_PAUSE = 1

/** An instant by both clocks, in seconds: one stands still while the machine sleeps, the other can be set. */
interface Moment {
  readonly elapsed: number
  readonly wall: number
}

export function createScheduler(options: SchedulerOptions): Scheduler {
  const { store, sealer, policies, clock, databaseClock, log } = options
  const opened: OpenedKeys = new Map()
  const watchful = createWatchfulLoad({ ...options, opened })
  const clockJumps = watchClock(options)
  const publisher = createPublisher(options)

  let loadedAt: Moment = { elapsed: -Infinity, wall: -Infinity }
  let failure: Error | undefined
  let failures = 0
  let warnings: readonly string[] = []
  let running: Promise<RingView> | undefined
  let loops: Promise<unknown> | undefined
  let lookedAt = -Infinity
  const stopping = new AbortController()
  let sleeping = new AbortController()

  async function turn(): Promise<RingView> {
    const { now, mayDestroy } = clockJumps.begin()
    // Read before the load: a ring is as old as the moment the store was asked for it.
    const startedAt = { elapsed: clock.elapsed(), wall: now }
    await databaseClock.compare()
    if (!databaseClock.isRight()) throw new ClockWrong(databaseClock.offset() ?? 0)
    const loaded = await load(now)
    let doneAt: Moment | undefined
    const { facts, warnings: found } = await turnRings(loaded, {
      store,
      sealer,
      policies,
      opened,
      now,
      mayDo: (action) => mayDestroy || !isDestructive(action),
      onDone: (action, isOurs) => {
        doneAt = { elapsed: clock.elapsed(), wall: clock.now() }
        if (!isOurs) return
        log.info(describe(action), `ring ${action.ring}: ${action.type}, as ${action.reason}`)
      },
    }).catch(async (error: unknown) => {
      // A store that takes nothing must not hide what it says, a revocation above all.
      if (loaded.keys.length > 0) await publish(loaded, startedAt)
      throw error
    })
    report(found)

    watchful.note(facts)
    // What was done took its time, and was followed by another load.
    const youngAt = doneAt ?? startedAt
    // Together: a revocation is published without waiting for the witness.
    const [shown] = await Promise.all([publish(facts, youngAt), options.witness?.note(facts)])
    return shown
  }

  /**
   * A ring is as young as its load, and only once it is shown: the plan may take its time, and a node that
   * comes back after others have switched must not serve meanwhile what it knew before.
   */
  async function publish(facts: LoadedRings, at: Moment): Promise<RingView> {
    const shown = await publisher.show(facts)
    loadedAt = at
    return shown
  }

  /**
   * Loads the rings. A key that does not open, or an event that is gone, must not hide the news of a
   * revocation: the keys at hand follow the events that can be read, and the turn fails.
   */
  async function load(now: number): Promise<LoadedRings> {
    try {
      return await watchful.load(now, publisher.view)
    } catch (error) {
      const known = publisher.facts
      if (known && (isSealFailure(error) || error instanceof StoreIncomplete)) {
        // Together: a store that has lost some must not make a revoked key good again.
        const { events } = await sealer.openEvents((await store.load()).events)
        await publisher.show({ ...known, events: together(known.events, events) })
      }
      throw error
    }
  }

  function report(found: readonly string[]): void {
    const fresh = found.filter((warning) => !warnings.includes(warning))
    for (const warning of fresh) log.warn({}, warning)
    warnings = found
  }

  async function runOnce(): Promise<RingView> {
    // Two turns at once would plan the same thing twice.
    running ??= turn().finally(() => {
      running = undefined
      options.afterTurn?.()
    })
    return running
  }

  async function runUntilStopped(): Promise<void> {
    while (!stopping.signal.aborted) {
      // Made before the turn, so that a wake-up that comes during it is not lost.
      sleeping = new AbortController()
      // A turn that a request has caused may have loaded before what this loop was woken for was written.
      await running?.catch(() => {})
      try {
        await runOnce()
        if (failures > 0) log.info({ failures }, 'the key ring can be loaded again')
        failure = undefined
        failures = 0
      } catch (error) {
        failure = error instanceof Error ? error : new Error(String(error))
        failures += 1
        const code = error instanceof KeyturnError ? error.code : undefined
        const data = { code, err: failure, failures, ringAge: Math.round(status.ringAge()) }
        log.error(data, 'the key ring could not be turned; the keys in use stay in use')
      }
      await clock.sleep(pause(), AbortSignal.any([sleeping.signal, stopping.signal]))
    }
  }

  /** Seconds to sleep: until the next change or the next refresh; after a failure, a short back-off. */
  function pause(): number {
    const interval = options.refreshInterval * (1 - Math.random() * 0.2)
    if (failures > 0) return Math.min(interval, FIRST_RETRY * 2 ** Math.min(failures - 1, 10))
    const dueIn = (publisher.view?.nextChangeAt ?? Infinity) - clock.now()
    return Math.max(0, Math.min(interval, dueIn))
  }

  const status: RingStatus = {
    ringAge: () => clock.elapsed() - loadedAt.elapsed,
    obstacle: () => {
      if (!databaseClock.isRight()) return new ClockWrong(databaseClock.offset() ?? 0).message
      // By whichever clock says more.
      const age = Math.max(status.ringAge(), clock.now() - loadedAt.wall)
      if (!publisher.view) return 'The key ring was never loaded.'
      if (age <= options.maxRingAge) return undefined
      return `The key ring was loaded ${Math.round(age)} s ago, longer than maxRingAge.`
    },
    maySign: (kid) => {
      const state = publisher.view?.states.find((candidate) => candidate.key.kid === kid)
      if (!state || status.obstacle() !== undefined) return false
      const endsAt = eraseAt(state, policies.policyFor(state.key.ring))
      return state.revokedAt === null && (endsAt === null || clock.now() < endsAt)
    },
    get view() {
      return publisher.view
    },
    get failure() {
      return failure
    },
    get failures() {
      return failures
    },
    get warnings() {
      return warnings
    },
  }

  function mayLook(): boolean {
    if (clock.elapsed() - lookedAt < LOOK_PAUSE) return false
    lookedAt = clock.elapsed()
    return true
  }

  async function lookFor(kid: string): Promise<void> {
    if (publisher.view?.states.some((state) => state.key.kid === kid)) return
    if (mayLook()) await runOnce().catch(() => {})
  }

  return {
    runOnce,
    lookFor,
    authorize: createAuthorize({
      ...options,
      status,
      heads: () => publisher.facts?.heads ?? [],
      onOutdated: () => {
        if (mayLook()) sleeping.abort()
      },
    }),
    start: () => {
      loops ??= Promise.all([runUntilStopped(), publisher.keepTime(stopping.signal)])
    },
    wake: () => sleeping.abort(),
    stop: async () => {
      stopping.abort()
      await loops
    },
    status,
  }
}

function isDestructive(action: Action): boolean {
  return action.type === 'erase' || action.type === 'delete'
}

function describe(action: Action): object {
  const { type, ring } = action
  if (type === 'create') return { action: type, ring, generation: action.generation }
  if (type === 'record') return { action: action.event.type, ring, event: action.event.id }
  return { action: type, ring, kid: action.kid }
}
