import { createPool, type Pool, type PoolOptions } from 'mysql2'
import type { ServerSettings } from '../database-url.ts'
import { limitSilence } from './impatience.ts'

/** Milliseconds until an idle connection is probed, so that firewalls do not forget it. */
const KEEP_ALIVE = 10_000

/** Options of mysql2 for a server; for TypeORM they are its `extra`. */
export function mysqlOptions({ url, connections, timeout }: ServerSettings) {
  return {
    uri: url.replace(/^mariadb:/, 'mysql:'),
    connectionLimit: connections,
    connectTimeout: timeout * 1000,
    enableKeepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE,
    charset: 'utf8mb4',
    // An UPDATE says how many rows it found, not how many it made differ: as other databases do.
    flags: ['FOUND_ROWS'],
  } satisfies PoolOptions
}

/** A pool of mysql2 whose sessions do not depend on how the server is set up. */
export function createMysqlPool(options: PoolOptions): Pool {
  const seconds = (options.connectTimeout ?? 0) / 1000
  const pool = createPool(options)
  pool.on('connection', (connection) => {
    // Runs before anything else on the connection; where it fails, the connection is no good.
    for (const sql of sessionStatements(seconds)) {
      connection.query(sql, (error) => {
        if (error) connection.destroy()
      })
    }
    // It is taken out of the pool; whoever uses it gets the error as well.
    connection.on('error', () => {})
  })
  return limitSilence(pool, seconds)
}

/**
 * - Strict: a value that does not fit is an error, never cut off.
 * - UTC: functions that tell the time do not repeat an hour in autumn.
 * - READ COMMITTED: a row that another transaction inserted is seen at once, and DELETE locks what
 *   it found and not the gaps between, in which others insert.
 * - Limits: MariaDB and MySQL call theirs by different names and skip each other's comments.
 */
function sessionStatements(seconds: number): readonly string[] {
  return [
    `SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00',
       innodb_lock_wait_timeout = ${Math.max(1, Math.round(seconds))}
       /*M! , max_statement_time = ${seconds} */
       /*!50708 , max_execution_time = ${seconds * 1000} */`,
    'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED',
  ]
}
