import pg from 'pg'
import type { ServerSettings } from '../database-url.ts'
import { limitSilence } from './impatience.ts'

export interface PostgresSettings extends ServerSettings {
  /** Run once on each new connection. */
  readonly onConnect?: string
}

/** Milliseconds until an idle connection is probed, so that firewalls do not forget it. */
const KEEP_ALIVE = 10_000

/** Milliseconds that a connection is kept for the next request: what it prepared goes with it. */
const IDLE = 60_000

/** Options of pg for a server; for TypeORM they are its `extra`. */
export function postgresOptions({ url, connections, timeout, onConnect }: PostgresSettings) {
  return {
    // pg knows one name for both; what else a URL can say (sslmode, options) it reads itself.
    connectionString: url.replace(/^cockroachdb:/, 'postgresql:'),
    max: connections,
    connectionTimeoutMillis: timeout * 1000,
    statement_timeout: timeout * 1000,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE,
    idleTimeoutMillis: IDLE,
    application_name: 'keyturn',
    ...(onConnect && {
      onConnect: async (client: pg.ClientBase) => {
        await client.query(onConnect)
      },
    }),
  } satisfies pg.PoolConfig
}

/** A pool of pg that outlives its connections; in place of pg's own for TypeORM too. */
export class PostgresPool extends pg.Pool {
  constructor(options: pg.PoolConfig = {}) {
    super(options)
    // An idle connection that ends is replaced when one is needed; without a listener the process
    // would end with it.
    this.on('error', () => {})
    // From the pool to who uses it, a connection goes through a moment without one, too.
    this.on('connect', (client) => client.on('error', () => {}))
    limitSilence(this, (options.connectionTimeoutMillis ?? 0) / 1000)
  }
}
