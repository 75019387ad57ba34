import type Sqlite from 'better-sqlite3-napi'
import { BUSY_PAUSE, BUSY_RETRIES, isBusy, storeUnavailable } from './failures.ts'
import type { Reader } from './shared-reads.ts'

export interface Writer {
  /** Does `work`, which must be synchronous, and resolves with its result once it is committed. */
  write<T>(work: () => T): Promise<T>
  /** Commits all waiting work at once. */
  flush(): void
}

/**
 * Collects the writes of all requests in one turn of the event loop and commits them together,
 * because a transaction costs more than the insert of a token. The commit ends within the turn, so
 * the connection of `database.ts` never waits for it.
 */
export function createWriter(database: Sqlite.Database, reader: Pick<Reader, 'end'>): Writer {
  interface Job {
    readonly work: () => void
    readonly settle: (failure: unknown) => void
  }
  let waiting: Job[] = []
  const commit = database.transaction((jobs: readonly Job[]) => {
    for (const job of jobs) job.work()
  })

  /** @param retries number of retries while another process writes */
  function flush(retries = 0): void {
    if (waiting.length === 0) return
    const jobs = waiting
    waiting = []
    let failure: unknown
    try {
      reader.end()
      commit.immediate(jobs)
    } catch (error) {
      if (isBusy(error) && retries > 0) {
        // Jobs that arrive meanwhile follow in order.
        waiting = jobs
        setTimeout(flush, BUSY_PAUSE, retries - 1)
        return
      }
      failure = storeUnavailable('write to the database', error)
    }
    for (const job of jobs) job.settle(failure)
  }

  return {
    write: <T>(work: () => T) =>
      new Promise<T>((resolve, reject) => {
        let result: T
        waiting.push({
          work: () => {
            result = work()
          },
          settle: (failure) => (failure ? reject(failure) : resolve(result)),
        })
        if (waiting.length === 1) setImmediate(flush, BUSY_RETRIES)
      }),
    flush: () => flush(),
  }
}
