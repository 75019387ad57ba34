import type { Clock } from '../clock.ts'
import { KeyturnError } from '../errors.ts'
import { type Authorize, createAuthorize } from './may-sign.ts'
import { createPublisher } from './publisher.ts'
import { createStatus, type RingStatus } from './status.ts'
import { createTurns, type TurnsOptions } from './turns.ts'
import type { RingView } from './view.ts'

/**
 * Decides when the rings turn: at the next change, at the latest after the refresh interval, and
 * sooner after an event. One loop turns the rings (`turns.ts`), a second one publishes on time
 * (`publisher.ts`). Requests never make keys.
 */
export interface Scheduler {
  /** Loads, plans, applies and publishes once. @throws what the store or a seal throws */
  runOnce(): Promise<RingView>
  /**
   * Turns once after the turn that is under way, if there is one, so that this process has then
   * loaded everything that was written before the call. @throws as `runOnce` does
   */
  runAgain(): Promise<RingView>
  /** Turns until stopped. A failure is logged and the turn tried again. */
  start(): void
  /** Ends the sleep of the loop, because the rings may have changed. */
  wake(): void
  /**
   * Turns once, at most once a second, for a token of this issuer whose key this node does not
   * know, because another node may have loaded the key already. Never rejects.
   */
  lookFor(kid: string): Promise<void>
  /** Allows or refuses each signature. */
  readonly authorize: Authorize
  stop(): Promise<void>
  readonly status: RingStatus
}

export interface SchedulerOptions extends Omit<TurnsOptions, 'publisher'> {
  /** Seconds between loads while nothing is due; shortened at random by up to 20 %. */
  readonly refreshInterval: number
  /** Called with every view that differs from the one before, before the turn ends. */
  readonly onView: (view: RingView) => void | Promise<void>
}

/** Seconds of the first wait after a failure, which doubles up to the refresh interval. */
const FIRST_RETRY = 1

/** Seconds between two turns that requests cause, because anybody can invent a kid. */
const LOOK_PAUSE = 1

export function createScheduler(options: SchedulerOptions): Scheduler {
  const { clock } = options
  const publisher = createPublisher(options)
  const turns = createTurns({ ...options, publisher })
  const trouble = createTrouble(options)
  const mayLook = atMostEvery(LOOK_PAUSE, clock)
  const onOutdated = () => {
    if (mayLook()) sleeping.abort()
  }
  const status = createStatus({ ...options, publisher, turns, trouble, onOutdated })
  const stopping = new AbortController()
  let sleeping = new AbortController()
  let loops: Promise<unknown> | undefined

  async function runAgain(): Promise<RingView> {
    // The turn under way may have loaded the store before the change was written.
    await turns.settled()
    return turns.run()
  }

  async function turnUntilStopped(): Promise<void> {
    while (!stopping.signal.aborted) {
      // Made before the turn, so that a wake-up that comes during it is not lost.
      sleeping = new AbortController()
      await runAgain().then(trouble.isOver, (error) => trouble.note(error, status.ringAge()))
      await clock.sleep(pause(), AbortSignal.any([sleeping.signal, stopping.signal]))
    }
  }

  /**
   * Seconds to sleep: until the next change or the next refresh, or a short back-off after a
   * failure.
   */
  function pause(): number {
    const interval = options.refreshInterval * (1 - Math.random() * 0.2)
    const { failures } = trouble
    if (failures > 0) return Math.min(interval, FIRST_RETRY * 2 ** Math.min(failures - 1, 10))
    const dueIn = (publisher.view?.nextChangeAt ?? Infinity) - clock.now()
    return Math.max(0, Math.min(interval, dueIn))
  }

  return {
    runOnce: turns.run,
    runAgain,
    lookFor: async (kid) => {
      if (publisher.view?.byKid.has(kid)) return
      if (mayLook()) await turns.run().catch(() => {})
    },
    authorize: createAuthorize({ ...options, status, onOutdated }),
    start: () => {
      loops ??= Promise.all([turnUntilStopped(), publisher.keepTime(stopping.signal)])
    },
    wake: () => sleeping.abort(),
    stop: async () => {
      stopping.abort()
      await loops
    },
    status,
  }
}

/** Counts turns that fail one after another, and logs each. */
function createTrouble({ log }: Pick<SchedulerOptions, 'log'>) {
  let failure: Error | undefined
  let failures = 0
  return {
    isOver: (): void => {
      if (failures > 0) log.info({ failures }, 'the key ring can be loaded again')
      failure = undefined
      failures = 0
    },
    /** @param ringAge seconds */
    note: (error: unknown, ringAge: number): void => {
      failure = error instanceof Error ? error : new Error(String(error))
      failures += 1
      const code = error instanceof KeyturnError ? error.code : undefined
      const data = { code, err: failure, failures, ringAge: Math.round(ringAge) }
      log.error(data, 'the key ring could not be turned; the keys in use stay in use')
    },
    get failure() {
      return failure
    },
    get failures() {
      return failures
    },
  }
}

/** A function that returns true at most once in so many seconds. */
function atMostEvery(seconds: number, clock: Pick<Clock, 'elapsed'>): () => boolean {
  let last = -Infinity
  return () => {
    if (clock.elapsed() - last < seconds) return false
    last = clock.elapsed()
    return true
  }
}
