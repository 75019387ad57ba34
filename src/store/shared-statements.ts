/** Work on many things that may be done by one statement. */
export interface SharedStatement<Job, Result> {
  /** Statements under way at once. */
  readonly lanes: number
  /** How many of `waiting` jobs go together next; at least 1. */
  readonly take: (waiting: number) => number
  /** @returns the results, in the order of the jobs */
  readonly run: (jobs: readonly Job[]) => Promise<readonly Result[]>
}

/**
 * Gathers what all requests ask for in one turn of the event loop, and while as many statements as
 * there are lanes are under way, and lets it go together: on a busy server a statement of its own
 * would cost a request more than its rows do, at both ends. On an idle one nothing waits.
 * @returns does a job; rejects with what its statement was rejected with
 */
export function shareStatements<Job, Result>({
  lanes,
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
  let isPlanned = false

  function depart(): void {
    isPlanned = false
    while (waiting.length > 0 && underWay < lanes) {
      const count = take(waiting.length)
      const batch = waiting.slice(0, count)
      waiting = waiting.slice(count)
      underWay += 1
      void deliver(batch)
    }
  }

  async function deliver(batch: readonly Waiting[]): Promise<void> {
    try {
      const results = await run(batch.map(({ job }) => job))
      // `run` gives as many results as it got jobs.
      for (const [index, { resolve }] of batch.entries()) resolve(results[index] as Result)
    } catch (error) {
      for (const { reject } of batch) reject(error)
    } finally {
      underWay -= 1
      depart()
    }
  }

  return (job) =>
    new Promise((resolve, reject) => {
      waiting.push({ job, resolve, reject })
      if (isPlanned || underWay >= lanes) return
      isPlanned = true
      setImmediate(depart)
    })
}
