/** Work on many things that may be done by one statement. */
export interface SharedStatement<Job, Result> {
  /** How many of `waiting` jobs go together next; at least 1. */
  readonly take: (waiting: number) => number
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
  run,
}: SharedStatement<Job, Result>): (job: Job) => Promise<Result> {
  interface Waiting {
    readonly job: Job
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
    if (waiting.length === 0 || !mayDepart()) return
    const count = take(waiting.length)
    const batch = waiting.slice(0, count)
    waiting = waiting.slice(count)
    void deliver(batch)
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
      waiting.push({ job, resolve, reject })
      if (isPlanned || !mayDepart()) return
      isPlanned = true
      setImmediate(depart)
    })
}
