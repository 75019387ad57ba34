import type { Clock } from '../clock.ts'
import { toRfc3339 } from '../clock.ts'
import { KeyturnError } from '../errors.ts'
import type { RingLog } from '../ring/ring-log.ts'
import type { RingKeeper, RingReport } from './keeper.ts'

/**
 * Keeping of a ring for years: the process looks about once an hour and whenever a key is due, and
 * reports the state of the ring. All processes of a deployment may keep the same ring.
 */
export interface RingKeeping {
  /** Looks until stopped. A failure is logged and the look is tried again. */
  start(): void
  /**
   * Looks once, or waits for the look that is under way. Never rejects, because `status` has the
   * result.
   */
  look(): Promise<void>
  stop(): Promise<void>
  readonly status: KeepingStatus
}

/** State of a kept ring, as far as this process knows. */
export interface KeepingStatus {
  /** Report of the last look that succeeded. */
  readonly report: RingReport | undefined
  /** Error of the last look, if it failed. */
  readonly failure: Error | undefined
  /** Number of looks that failed since the start of the process. */
  readonly failedLooks: number
  /** True if less is left now than the policy's `notice`, however long ago the last look was. */
  isLate(): boolean
  /** Seconds since the epoch, by the clock that is used for the ring. */
  now(): number
}

export interface KeepingOptions {
  /** Name of the ring, with `data-protection/`. */
  readonly ring: string
  /** Opens the ring's store, which may be unavailable when the process starts. */
  readonly open: () => Promise<RingKeeper>
  readonly clock: Pick<Clock, 'sleep'>
  /** Seconds since the epoch, by the clock that all nodes share. */
  readonly now: () => number
  readonly log: RingLog
}

/**
 * Seconds between looks while nothing is due. Each pause is shortened at random by up to 20 %, so
 * that nodes do not look at the same time.
 */
const INTERVAL = 3600
/** First pause after a failure, in seconds. Pauses double up to the interval. */
const FIRST_RETRY = 5

export function createKeeping(options: KeepingOptions): RingKeeping {
  const { ring, open, clock, now, log } = options
  const stopping = new AbortController()
  const teller = createTeller(ring, log)
  let keeper: RingKeeper | undefined
  let report: RingReport | undefined
  let failure: Error | undefined
  let failures = 0
  let failedLooks = 0
  let looking: Promise<void> | undefined
  let loop: Promise<void> | undefined

  const isLate = () => report !== undefined && now() >= report.lateAt

  function look(): Promise<void> {
    looking ??= lookOnce().finally(() => {
      looking = undefined
    })
    return looking
  }

  async function lookOnce(): Promise<void> {
    try {
      keeper ??= await open()
      report = await keeper.look()
      if (failures > 0) log.info({ ring, failures }, 'the kept ring can be read and written again')
      failure = undefined
      failures = 0
      teller.tell(report)
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error))
      failures += 1
      failedLooks += 1
      const code = error instanceof KeyturnError ? error.code : undefined
      const endsAt = report && toRfc3339(report.endsAt)
      log.error(
        { ring, code, err: failure, failures, endsAt },
        'the kept ring could not be looked after; it is tried again',
      )
    }
  }

  async function lookUntilStopped(): Promise<void> {
    while (!stopping.signal.aborted) {
      await look()
      const dueIn = (report?.dueAt ?? Infinity) - now()
      await clock.sleep(pauseBefore(dueIn, failures), stopping.signal)
    }
  }

  return {
    start: () => {
      loop ??= lookUntilStopped()
    },
    look,
    stop: async () => {
      stopping.abort()
      await Promise.all([loop, looking])
      await keeper?.close()
    },
    status: {
      get report() {
        return report
      },
      get failure() {
        return failure
      },
      get failedLooks() {
        return failedLooks
      },
      isLate,
      now,
    },
  }
}

/**
 * Seconds until the next look.
 * @param dueIn seconds until a key is due; the instant in whole seconds may be a moment too early
 * @param failures number of looks that failed since the last success
 */
function pauseBefore(dueIn: number, failures: number): number {
  const interval = INTERVAL * (1 - Math.random() * 0.2)
  if (failures > 0) return Math.min(interval, FIRST_RETRY * 2 ** Math.min(failures - 1, 10))
  return dueIn + 1 > 0 ? Math.min(interval, dueIn + 1) : interval
}

/** Logs the news in each report, so that an unchanged ring does not fill the log. */
function createTeller(ring: string, log: RingLog) {
  let told = new Set<string>()
  let wasBlocked: RingReport['blocked']
  let wasLate = false
  return {
    tell: ({ made, late, blocked, problems, endsAt }: RingReport): void => {
      const ends = toRfc3339(endsAt)
      if (made !== undefined)
        log.info({ ring, kid: made, endsAt: ends }, 'the kept ring has a new key')
      const found = new Set<string>()
      for (const { code, source, keyId, message } of problems) {
        const name = `${code} ${source}`
        found.add(name)
        if (!told.has(name)) log.warn({ ring, code, source, kid: keyId }, message)
      }
      told = found
      if (blocked && blocked !== wasBlocked) {
        log.error(
          { ring, blocked, endsAt: ends },
          'a key of the kept ring is due and cannot be made',
        )
      }
      wasBlocked = blocked
      if (late && !wasLate) {
        log.error(
          { ring, endsAt: ends },
          'the keeper is late: its applications are about to stand still',
        )
      }
      wasLate = late
    },
  }
}
