import type Sqlite from 'better-sqlite3-napi'

export interface Reader {
  /** Runs `work`, which must be synchronous and only read. */
  read<T>(work: () => T): T
  /** Ends the transaction of this turn, so that a write may begin one. */
  end(): void
}

/**
 * Reads of all requests in one turn of the event loop share a transaction, because taking and
 * releasing its locks costs more than finding a row. The transaction ends with the turn, so what
 * other processes commit is seen by the next one.
 */
export function createReader(database: Sqlite.Database): Reader {
  const begin = database.prepare('BEGIN')
  const commit = database.prepare('COMMIT')
  let isOpen = false

  function end(): void {
    if (!isOpen) return
    isOpen = false
    // An I/O error may have ended it already.
    if (database.inTransaction) commit.run()
  }

  return {
    read: (work) => {
      if (!isOpen && !database.inTransaction) {
        begin.run()
        isOpen = true
        setImmediate(end)
      }
      return work()
    },
    end,
  }
}
