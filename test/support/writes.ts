import Sqlite from 'better-sqlite3-napi'
import mysql from 'mysql2'
import pg from 'pg'

/** Statements that write, at each driver, so that a test can end what happens between any two. */

const WRITES = /^\s*(START|BEGIN|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|COMMIT)/i

/** A statement that is about to be sent, and the connection that sends it. */
export interface Write {
  readonly sql: string
  /** Breaks the connection: as the network does, or as a disk that is full does. */
  fail(): void
}

type Method = (this: unknown, ...args: unknown[]) => unknown

interface Hook {
  readonly before?: (write: Write) => void
  readonly after?: (write: Write) => void
}

/** Calls the hook around each statement that writes, in this process. @returns what undoes it */
export function onWrites(hook: Hook): () => void {
  const undo = [
    // The classes of the drivers; their connections have a stream.
    around(pg.Client.prototype, 'query', hook, (client) => streamOf(client, 'connection')),
    around(Object.getPrototypeOf(mysql.Connection.prototype), 'query', hook, streamOf),
    around(sqliteStatement(), 'run', hook),
  ]
  return () => {
    for (const restore of undo) restore()
  }
}

function around(
  prototype: object,
  name: string,
  hook: Hook,
  stream?: (connection: object) => { destroy(): void },
): () => void {
  const methods = prototype as Record<string, Method>
  const original = methods[name] as Method
  methods[name] = function (this: unknown, ...args: unknown[]) {
    const connection = this as { readonly source?: string }
    const [first] = args as [string | { readonly sql?: string; readonly text?: string }]
    const sql = connection.source ?? (typeof first === 'string' ? first : (first.sql ?? first.text))
    if (sql === undefined || !WRITES.test(sql)) return original.apply(this, args)
    const write = {
      sql,
      fail: () => {
        if (!stream) throw Object.assign(new Sqlite.SqliteError('disk is full', 'SQLITE_FULL'))
        stream(connection).destroy()
      },
    }
    hook.before?.(write)
    const answer = original.apply(this, args)
    hook.after?.(write)
    return answer
  }
  return () => {
    methods[name] = original
  }
}

function streamOf(connection: object, inner?: string): { destroy(): void } {
  // The members of pg and mysql2, which their types lack.
  const members = connection as Record<string, Record<string, { destroy(): void }>>
  return (inner === undefined ? members : members[inner])?.stream as { destroy(): void }
}

function sqliteStatement(): object {
  const database = new Sqlite(':memory:')
  const prototype: object = Object.getPrototypeOf(database.prepare('SELECT 1'))
  database.close()
  return prototype
}
