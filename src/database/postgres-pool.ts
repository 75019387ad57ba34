import pg from 'pg'
import { databaseServer, engineOf, type ServerSettings } from '../connection/database-url.ts'
import { tlsOptions } from '../connection/tls-options.ts'
import { notSent } from './failures.ts'
import { limitSilence } from './impatience.ts'
import { createSessionSetup } from './postgres-session.ts'

export interface PostgresSettings extends ServerSettings {
  /** SET statements for each new connection. */
  readonly session?: string
}

/** Milliseconds until an idle connection is probed, so that firewalls keep it open. */
const KEEP_ALIVE = 10_000

/** Milliseconds for which an idle connection and its prepared statements are kept. */
const IDLE = 60_000

/** Options of pg for a server; for TypeORM they are its `extra`. */
export function postgresOptions(settings: PostgresSettings): pg.PoolConfig {
  const { url, connections, timeout, session = '' } = settings
  const { host, port, user, password, database, tls, others } = databaseServer(url)
  const { applicationname = 'keyturn', options, targetsessionattrs, channelbinding } = others
  const ssl = tls?.level === 'disable' ? false : tlsOptions(tls, 'database.url')
  // No other parameter in the first packet, because poolers refuse unknown ones.
  const server = {
    host,
    ...(port !== undefined && { port }),
    ...(user !== undefined && { user }),
    ...(password !== undefined && { password }),
    database,
    ...(ssl !== undefined && { ssl }),
    ...(tls?.isDirect && { sslnegotiation: 'direct' as const }),
    ...(options !== undefined && { options }),
    ...(channelbinding === 'prefer' && { enableChannelBinding: true }),
    application_name: applicationname,
    connectionTimeoutMillis: timeout * 1000,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE,
  } satisfies pg.ClientConfig & { sslnegotiation?: string }
  return {
    ...server,
    max: connections,
    idleTimeoutMillis: IDLE,
    onConnect: createSessionSetup(
      {
        isPostgres: engineOf(url) === 'postgres',
        timeout,
        settings: session,
        isWritable: /^(read-write|primary)$/.test(targetsessionattrs ?? ''),
      },
      server,
    ),
  }
}

/** A pool of pg that survives the end of its connections; TypeORM uses it too. */
export class PostgresPool extends pg.Pool {
  constructor(options: pg.PoolConfig = {}) {
    super(options)
    // An ended idle connection is replaced when one is needed; without a listener the error would
    // end the process.
    this.on('error', () => {})
    // A connection has no listener for a moment between the pool and its user.
    this.on('connect', (client) => client.on('error', () => {}))
    limitSilence(this, (options.connectionTimeoutMillis ?? 0) / 1000)
    markUnsent(this)
  }
}

/** Marks errors of getting a connection, because nothing was sent then. */
function markUnsent(pool: pg.Pool): void {
  // `connect` has overloads for a promise and a callback; both are passed on.
  const connect = pool.connect.bind(pool) as (callback?: ConnectCallback) => unknown
  pool.connect = ((callback?: ConnectCallback) => {
    if (callback) return connect((error, ...rest) => callback(error && notSent(error), ...rest))
    return (connect() as Promise<pg.PoolClient>).catch((error: unknown) => {
      throw notSent(error)
    })
  }) as pg.Pool['connect']
}

type ConnectCallback = (error: Error | undefined, ...rest: unknown[]) => void
