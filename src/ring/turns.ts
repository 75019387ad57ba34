import type { Clock } from '../clock.ts'
import { ClockWrong, StoreIncomplete } from '../errors.ts'
import type { Action } from './action.ts'
import type { ClockCheck } from './clock-check.ts'
import { watchClock } from './clock-jumps.ts'
import { isSealFailure, type LoadedRings } from './loaded-rings.ts'
import { together } from './lost.ts'
import type { RotationPolicies } from './policy.ts'
import type { Publisher } from './publisher.ts'
import type { RingLog } from './ring-log.ts'
import type { Rings } from './rings.ts'
import type { Moment } from './status.ts'
import type { RingView } from './view.ts'
import { createWatchfulLoad } from './watchful-load.ts'
import type { WitnessHook } from './witness-hook.ts'

/** One turn of the rings of a server: load, plan, apply, publish. When to turn is `scheduler.ts`. */
export interface Turns {
  /**
   * Turns once. A call during a turn gets the view of that turn, because two turns at once would plan
   * the same thing twice.
   * @throws ClockWrong, StoreIncomplete, and what the store or a seal throws
   */
  run(): Promise<RingView>
  /** Resolves once no turn is under way. Never rejects. */
  settled(): Promise<void>
  /** When the store was asked for what is published now; -Infinity before the first time. */
  readonly loadedAt: Moment
  /** What the last plan could not do, and why. */
  readonly warnings: readonly string[]
}

export interface TurnsOptions {
  readonly rings: Rings
  readonly publisher: Publisher
  readonly policies: RotationPolicies
  readonly clock: Clock
  readonly databaseClock: ClockCheck
  /** Seconds. */
  readonly maxRingAge: number
  /** Largest believable step of the wall clock between two turns, in seconds. */
  readonly clockSkew: number
  /** Called after every turn, be it done or failed. Never throws. */
  readonly afterTurn?: (() => void) | undefined
  readonly log: RingLog
  /** Remembers outside the store; undefined where nobody does. */
  readonly witness?: WitnessHook | undefined
}

export function createTurns(options: TurnsOptions): Turns {
  const { rings, publisher, policies, clock, databaseClock, log } = options
  const load = createLoad(options)
  const warnings = createWarnings(log)
  const clockJumps = watchClock(options)
  let loadedAt: Moment = { elapsed: -Infinity, wall: -Infinity }
  let running: Promise<RingView> | undefined

  async function turn(): Promise<RingView> {
    const { now, isClockSettled } = clockJumps.begin()
    // Read before the load: a ring is as old as the moment the store was asked for it.
    const startedAt = { elapsed: clock.elapsed(), wall: now }
    await databaseClock.compare()
    if (!databaseClock.isRight()) throw new ClockWrong(databaseClock.offset() ?? 0)
    const loaded = await load(now)
    let doneAt: Moment | undefined
    const onDone = (action: Action, isOurs: boolean) => {
      doneAt = { elapsed: clock.elapsed(), wall: clock.now() }
      if (isOurs)
        log.info(describe(action), `ring ${action.ring}: ${action.type}, as ${action.reason}`)
    }
    const turned = await rings
      .turn(loaded, { policies, now, isClockSettled, onDone })
      .catch(async (error: unknown) => {
        // A store that takes nothing must not hide what it says, a revocation above all.
        if (loaded.keys.length > 0) await publish(loaded, startedAt)
        throw error
      })
    warnings.note(turned.warnings)
    // What was done took its time, and was followed by another load.
    const youngAt = doneAt ?? startedAt
    // Together: a revocation is published without waiting for the witness.
    const [shown] = await Promise.all([
      publish(turned.facts, youngAt),
      options.witness?.note(turned.facts),
    ])
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

  return {
    run: () => {
      running ??= turn().finally(() => {
        running = undefined
        options.afterTurn?.()
      })
      return running
    },
    settled: async () => {
      await running?.catch(() => {})
    },
    get loadedAt() {
      return loadedAt
    },
    get warnings() {
      return warnings.last
    },
  }
}

function describe(action: Action): object {
  const { type, ring } = action
  if (type === 'create') return { action: type, ring, generation: action.generation }
  if (type === 'record') return { action: action.event.type, ring, event: action.event.id }
  return { action: type, ring, kid: action.kid }
}

/**
 * Loads the rings. A key that does not open, or an event that is gone, must not hide the news of a
 * revocation: the keys at hand follow the events that can be read, and the turn fails.
 */
function createLoad(options: TurnsOptions): (now: number) => Promise<LoadedRings> {
  const { rings, publisher } = options
  const loadWatchfully = createWatchfulLoad(options)
  return async (now) => {
    try {
      return await loadWatchfully(now, publisher.view?.states ?? [])
    } catch (error) {
      const known = rings.facts
      if (known && (isSealFailure(error) || error instanceof StoreIncomplete)) {
        // Together: a store that has lost some must not make a revoked key good again.
        const events = together(known.events, await rings.loadEvents())
        await publisher.show({ ...known, events })
      }
      throw error
    }
  }
}

/** Logs each warning once, for as long as it lasts. */
function createWarnings(log: Pick<RingLog, 'warn'>) {
  let last: readonly string[] = []
  return {
    note: (found: readonly string[]): void => {
      for (const warning of found) if (!last.includes(warning)) log.warn({}, warning)
      last = found
    },
    get last() {
      return last
    },
  }
}
