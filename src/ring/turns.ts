import type { Clock } from '../clock.ts'
import { StoreIncomplete } from '../errors.ts'
import type { Action } from './action.ts'
import { type ClockCheck, requireRight } from './clock-check.ts'
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

/** Turns the rings of a server: load, plan, apply, publish. `scheduler.ts` decides when. */
export interface Turns {
  /**
   * Turns once. A call during a turn gets the view of that turn, because two turns at once would
   * plan the same actions twice.
   * @throws ClockWrong, StoreIncomplete, and errors of the store or a seal
   */
  run(): Promise<RingView>
  /** Resolves once no turn is under way. Never rejects. */
  settled(): Promise<void>
  /** Instant of the load of the published view; -Infinity before the first load. */
  readonly loadedAt: Moment
  /** Steps that the last plan could not make, each with its reason. */
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
  /** Called after every turn, successful or not. Never throws. */
  readonly afterTurn?: (() => void) | undefined
  readonly log: RingLog
  /** Remembers facts outside the store; undefined if there is no witness. */
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
    await databaseClock.compare()
    requireRight(databaseClock)
    // Read after the comparison, because a clock that was wrong before it would give a wrong plan.
    const { now, isClockSettled } = clockJumps.begin()
    // Read before the load, because the age of a ring counts from the request to the store.
    const startedAt = { elapsed: clock.elapsed(), wall: now }
    const loaded = await load(now)
    let doneAt: Moment | undefined
    const onDone = (action: Action, isOurs: boolean) => {
      doneAt = { elapsed: clock.elapsed(), wall: clock.now() }
      if (isOurs)
        log.info(describe(action), `ring ${action.ring}: ${action.type}, because ${action.reason}`)
    }
    const turned = await rings
      .turn(loaded, { policies, now, isClockSettled, onDone })
      .catch(async (error: unknown) => {
        // A store that cannot be written must not hide what can be read, such as a revocation.
        if (loaded.keys.length > 0) await publish(loaded, startedAt)
        throw error
      })
    warnings.note(turned.warnings)
    // The actions took time, and were followed by another load.
    const youngAt = doneAt ?? startedAt
    // Both at once, so that a revocation is published without waiting for the witness.
    const [shown] = await Promise.all([
      publish(turned.facts, youngAt),
      options.witness?.note(turned.facts),
    ])
    return shown
  }

  /**
   * Publishes a view, and only then counts its age from its load: planning may take time, and a
   * node that returns after other nodes have switched must not serve its old view meanwhile.
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
 * Loads the rings. If a key does not open or an event is missing, the turn fails, but the keys at
 * hand follow the events that can be read, so that a revocation still takes effect.
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
        // Known events count too, so that a store which lost some cannot undo a revocation.
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
