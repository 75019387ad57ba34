import { connect, isIP, type Socket } from 'node:net'
import { createPool, type Pool, type PoolConnection, type PoolOptions } from 'mysql2'
import { databaseServer, type ServerSettings } from '../connection/database-url.ts'
import { tlsOptions } from '../connection/tls-options.ts'
import { notSent } from './failures.ts'
import { limitSilence } from './impatience.ts'

/** Milliseconds until an idle connection is probed, so that firewalls keep it open. */
const KEEP_ALIVE = 10_000

const STANDARD_PORT = 3306

/** Options of mysql2 for a server, and the setup of its sessions. */
export interface MysqlSettings {
  readonly options: PoolOptions
  readonly session: readonly SessionStatement[]
  /** Seconds. */
  readonly timeout: number
}

interface SessionStatement {
  readonly sql: string
  /** Error numbers for a setting that this server lacks, which are ignored. */
  readonly tolerated: readonly number[]
}

export function mysqlSettings(settings: ServerSettings): MysqlSettings {
  const { url, connections, timeout, consistency } = settings
  const { host, port = STANDARD_PORT, user, password, database, tls, others } = databaseServer(url)
  const ssl = tlsOptions(tls, 'database.url')
  const { socketpath: socketPath } = others
  // mysql2 compares a certificate only with a name. Node drops a final dot before it compares, so
  // an address with a dot counts as a name in mysql2 and as an address in Node.
  const isAddress = tls?.level === 'verify-full' && isIP(host) !== 0
  return {
    timeout,
    session: sessionStatements(timeout, consistency),
    options: {
      host: isAddress ? `${host}.` : host,
      port,
      ...(isAddress && { stream: () => openSocket(host, port) }),
      ...(socketPath !== undefined && { socketPath }),
      ...(user !== undefined && { user }),
      ...(password !== undefined && { password }),
      database,
      ...(ssl && { ssl: { ...ssl, verifyIdentity: tls?.level === 'verify-full' } }),
      connectionLimit: connections,
      connectTimeout: timeout * 1000,
      enableKeepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE,
      charset: 'utf8mb4',
      // UPDATE reports found rows instead of changed ones, as in other databases.
      flags: ['FOUND_ROWS'],
    },
  }
}

/**
 * A pool of mysql2 whose sessions do not depend on how the server is set up. A connection is handed
 * out when its session is set up; errors before that keep the server's words.
 */
export function createMysqlPool({ options, session, timeout }: MysqlSettings): Pool {
  const pool = createPool(options)
  pool.on('connection', (connection) => {
    // The pool removes the connection, and its user gets the error too.
    connection.on('error', () => {})
  })
  const prepared = new WeakSet<PoolConnection>()
  const getConnection = limitQueue(pool, timeout)
  pool.getConnection = (callback) =>
    getConnection((error, connection) => {
      if (error) return callback(notSent(error), connection)
      if (prepared.has(connection)) return callback(null, connection)
      setUp(connection, session).then(
        () => {
          prepared.add(connection)
          callback(null, connection)
        },
        (failure: NodeJS.ErrnoException) => {
          connection.destroy()
          callback(notSent(failure), connection)
        },
      )
    })
  return limitSilence(pool, timeout)
}

/**
 * Bounds how long a statement waits for a connection while all are in use, as pg does by itself.
 * @param timeout seconds
 * @returns `getConnection` of the pool with this limit
 */
function limitQueue(pool: Pool, timeout: number): Pool['getConnection'] {
  const getConnection = pool.getConnection.bind(pool)
  let isQueued = false
  // Emitted within the call of `getConnection`.
  pool.on('enqueue', () => {
    isQueued = true
  })
  return (callback) => {
    let late: NodeJS.Timeout | undefined
    let isOver = false
    isQueued = false
    getConnection((error, connection) => {
      clearTimeout(late)
      if (!isOver) callback(error, connection)
      else if (!error) connection.release()
    })
    if (!isQueued) return
    late = setTimeout(() => {
      isOver = true
      // mysql2 passes no connection with an error, although its types say so.
      callback(tooLate(), undefined as unknown as PoolConnection)
    }, timeout * 1000)
  }
}

function tooLate(): NodeJS.ErrnoException {
  const message = 'all connections were in use, and none got free in time'
  return Object.assign(new Error(message), { code: 'ETIMEDOUT' })
}

async function setUp(connection: PoolConnection, session: readonly SessionStatement[]) {
  const run = ({ sql, tolerated }: SessionStatement) =>
    new Promise<void>((resolve, reject) => {
      connection.query(sql, (error: NodeJS.ErrnoException | null) => {
        if (!error || tolerated.includes(error.errno ?? 0)) resolve()
        else reject(error)
      })
    })
  await Promise.all(session.map(run))
}

/** Number of ER_UNKNOWN_SYSTEM_VARIABLE. */
const UNKNOWN_VARIABLE = 1193

/**
 * - Strict: a value that does not fit is an error, never cut off.
 * - UTC: functions that tell the time do not repeat an hour in autumn.
 * - READ COMMITTED: a row that another transaction inserted is seen at once, and DELETE locks what
 *   it found and not the gaps between, in which others insert.
 * - Limits: MariaDB and MySQL call theirs by different names and skip each other's comments.
 * - In a Galera cluster reads, updates and deletes (1 + 2) wait until this node has applied what
 *   any node had confirmed before them: otherwise a code that one node issued is unknown at the
 *   next.
 */
function sessionStatements(
  seconds: number,
  consistency: ServerSettings['consistency'] = 'cluster',
): readonly SessionStatement[] {
  return [
    {
      sql: `SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00',
       innodb_lock_wait_timeout = ${Math.max(1, Math.round(seconds))}
       /*M! , max_statement_time = ${seconds} */
       /*!50708 , max_execution_time = ${seconds * 1000} */`,
      tolerated: [],
    },
    { sql: 'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED', tolerated: [] },
    {
      sql: `SET SESSION wsrep_sync_wait = ${consistency === 'cluster' ? 3 : 0}`,
      tolerated: [UNKNOWN_VARIABLE],
    },
  ]
}

function openSocket(host: string, port: number): Socket {
  const socket = connect(port, host)
  socket.setNoDelay(true)
  return socket.on('connect', () => socket.setKeepAlive(true, KEEP_ALIVE))
}
