/** Work that a single statement can do for many jobs. */
export interface SharedStatement<Job, Result> {
  /** Number of the `waiting` jobs for the next statement; at least 1. */
  readonly take: (waiting: number) => number
  /** Longest time in the queue, which would grow without end if a server does not answer. */
  readonly limit?: {
    readonly seconds: number
    readonly elapsed: () => number
    readonly late: () => Error
  }
  /** @returns the results, in the order of the jobs */
  readonly run: (jobs: readonly Job[]) => Promise<readonly Result[]>
}

/**
 * Milliseconds after which a running statement no longer blocks the next batch, because it probably
 * waits for a lock or the disk.
 */
const SLOW_AFTER = 20

/** Most statements that run at once because earlier ones are slow. */
const MOST_STATEMENTS = 3

/**
 * Collects the jobs of one turn of the event loop, and those that arrive while a statement runs,
 * and executes them by one statement, because on a busy server a statement of its own costs more
 * than a request's rows. On an idle server nothing waits.
 * @returns function that executes a job; rejects with the statement's error
 */
export function shareStatements<Job, Result>({
  take,
  limit,
  run,
}: SharedStatement<Job, Result>): (job: Job) => Promise<Result> {
  interface Waiting {
    readonly job: Job
    readonly since: number
    readonly resolve: (result: Result) => void
    readonly reject: (error: unknown) => void
  }
  let waiting: Waiting[] = []
  let running = 0
  /** Number of running statements that have exceeded SLOW_AFTER. */
  let slow = 0
  let isPlanned = false

  const mayStart = () => running === slow && running < MOST_STATEMENTS

  function startNext(): void {
    isPlanned = false
    rejectLate()
    if (waiting.length === 0 || !mayStart()) return
    const count = take(waiting.length)
    const batch = waiting.slice(0, count)
    waiting = waiting.slice(count)
    void execute(batch)
  }

  function rejectLate(): void {
    if (!limit) return
    const latest = limit.elapsed() - limit.seconds
    const late = waiting.filter(({ since }) => since < latest)
    if (late.length === 0) return
    waiting = waiting.filter(({ since }) => since >= latest)
    for (const { reject } of late) reject(limit.late())
  }

  async function execute(batch: readonly Waiting[]): Promise<void> {
    running += 1
    let isSlow = false
    const timer = setTimeout(() => {
      isSlow = true
      slow += 1
      startNext()
    }, SLOW_AFTER)
    try {
      const results = await run(batch.map(({ job }) => job))
      // `run` returns as many results as it got jobs.
      for (const [index, { resolve }] of batch.entries()) resolve(results[index] as Result)
    } catch (error) {
      for (const { reject } of batch) reject(error)
    } finally {
      clearTimeout(timer)
      running -= 1
      if (isSlow) slow -= 1
      startNext()
    }
  }

  return (job) =>
    new Promise((resolve, reject) => {
      waiting.push({ job, since: limit?.elapsed() ?? 0, resolve, reject })
      if (isPlanned || !mayStart()) return
      isPlanned = true
      setImmediate(startNext)
    })
}
