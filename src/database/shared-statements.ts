/** Work on many things that may be done by one statement. */
export interface SharedStatement<Job, Result> {
  /** How many of `waiting` jobs go together next; at least 1. */
  readonly take: (waiting: number) => number
  /** How long a job may wait for its turn: where a server is silent, the line would grow for ever. */
  readonly limit?: {
    readonly seconds: number
    readonly elapsed: () => number
    readonly late: () => Error
  }
  /** @returns the results, in the order of the jobs */
  readonly run: (jobs: readonly Job[]) => Promise<readonly Result[]>
}

/** Milliseconds after which a statement holds up no other: it waits for a lock, or for the disk. */
const PATIENCE = 20

/** Statements under way at once where that happens. */
const LANES = 3

/**
 * Gathers what all requests ask for in one turn of the event loop, and while a statement is under
 * way, and lets it go together: on a busy server a statement of its own would cost a request more
 * than its rows do, at both ends. On an idle one nothing waits.
 * @returns does a job; rejects with what its statement was rejected with
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
  let underWay = 0
  /** Of those under way, the ones that ran out of patience. */
  let slow = 0
  let isPlanned = false

  const mayDepart = () => underWay === slow && underWay < LANES

  function depart(): void {
    isPlanned = false
    dismissLate()
    if (waiting.length === 0 || !mayDepart()) return
    const count = take(waiting.length)
    const batch = waiting.slice(0, count)
    waiting = waiting.slice(count)
    void deliver(batch)
  }

  function dismissLate(): void {
    if (!limit) return
    const latest = limit.elapsed() - limit.seconds
    const late = waiting.filter(({ since }) => since < latest)
    if (late.length === 0) return
    waiting = waiting.filter(({ since }) => since >= latest)
    for (const { reject } of late) reject(limit.late())
  }

  async function deliver(batch: readonly Waiting[]): Promise<void> {
    underWay += 1
    let isSlow = false
    const timer = setTimeout(() => {
      isSlow = true
      slow += 1
      depart()
    }, PATIENCE)
    try {
      const results = await run(batch.map(({ job }) => job))
      // `run` gives as many results as it got jobs.
      for (const [index, { resolve }] of batch.entries()) resolve(results[index] as Result)
    } catch (error) {
      for (const { reject } of batch) reject(error)
    } finally {
      clearTimeout(timer)
      underWay -= 1
      if (isSlow) slow -= 1
      depart()
    }
  }

  return (job) =>
    new Promise((resolve, reject) => {
      waiting.push({ job, since: limit?.elapsed() ?? 0, resolve, reject })
      if (isPlanned || !mayDepart()) return
      isPlanned = true
      setImmediate(depart)
    })
}
