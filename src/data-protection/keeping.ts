import type { Clock } from '../clock.ts'
import { toRfc3339 } from '../clock.ts'
import { KeyturnError } from '../errors.ts'
import type { RingLog } from '../ring/ring-log.ts'
import type { RingKeeper, RingReport } from './keeper.ts'

/**
 * A process that keeps a ring in keys for years: it looks about once an hour and at the instant at which a key
 * is due, and tells how the ring is. All processes of a deployment may keep the same ring.
 */
export interface RingKeeping {
  /** Looks until stopped; a failure is logged and tried again. */
  start(): void
  /** Looks once, or waits for the look that is under way. Never rejects: `status` tells what became of it. */
  look(): Promise<void>
  stop(): Promise<void>
  readonly status: KeepingStatus
}

/** How a kept ring is, as far as this process knows. */
export interface KeepingStatus {
  /** What the last look that worked has found. */
  readonly report: RingReport | undefined
  /** Why the last look failed, if it did. */
  readonly failure: Error | undefined
  /** Looks that failed since the start of the process. */
  readonly failedLooks: number
  /** Is less left than the policy's `notice`? By the time of now, however long ago the last look was. */
  isLate(): boolean
  /** By the clock that the ring is kept by, in seconds since the epoch. */
  now(): number
}

export interface KeepingOptions {
  /** With `data-protection/`. */
  readonly ring: string
  /** Opens the ring's store, which may be away when the process starts. */
  readonly open: () => Promise<RingKeeper>
  readonly clock: Pick<Clock, 'sleep'>
  /** Seconds since the epoch, by the clock that all nodes share. */
  readonly now: () => number
  readonly log: RingLog
}

/** Seconds between looks while nothing is due; shortened at random by up to 20 %, so that nodes do not meet. */
const INTERVAL = 3600
/** First wait after a failure, in seconds; doubles up to the interval. */
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
 * @param dueIn seconds until a key is due; an instant in whole seconds may lie a moment before
 * @param failures looks that failed since the last that worked
 */
function pauseBefore(dueIn: number, failures: number): number {
  const interval = INTERVAL * (1 - Math.random() * 0.2)
  if (failures > 0) return Math.min(interval, FIRST_RETRY * 2 ** Math.min(failures - 1, 10))
  return dueIn + 1 > 0 ? Math.min(interval, dueIn + 1) : interval
}

/** Writes to the log what is new in a report, so that a ring that stays as it is fills no log. */
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
