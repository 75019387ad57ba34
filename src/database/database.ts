import { closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import Sqlite from 'better-sqlite3-napi'
import { DataSource, type DataSourceOptions } from 'typeorm'
import {
  engineOf,
  type ServerSettings,
  shareConnections,
  shownUrl,
} from '../connection/database-url.ts'
import { attemptRead, BUSY_TIMEOUT } from './failures.ts'
import { Initial0001 } from './migrations/0001-initial.ts'
import { Nodes0002 } from './migrations/0002-nodes.ts'
import { Claims0003 } from './migrations/0003-claims.ts'
import { UserNames0004 } from './migrations/0004-user-names.ts'
import { UserNameKeys0005 } from './migrations/0005-user-name-keys.ts'
import { Issuers0006 } from './migrations/0006-issuers.ts'
import { Kids0007 } from './migrations/0007-kids.ts'
import { schemasFor } from './tables.ts'

export const migrations = [
  Initial0001,
  Nodes0002,
  Claims0003,
  UserNames0004,
  UserNameKeys0005,
  Issuers0006,
  Kids0007,
]

/** The table in which TypeORM notes which migrations were applied. */
export const MIGRATIONS_TABLE = 'migration'

/**
 * Opens the database that a URL names. What is written through it is durable when the promise
 * resolves: keys, events, clients and people must survive a power failure.
 *
 * A server may go and come back: what is asked meanwhile is rejected, and connections are made
 * anew when they are needed.
 *
 * CockroachDB is spoken to through TypeORM's driver for it, which repeats transactions that it
 * asks to repeat. The SQL has nothing that its documentation says it lacks; it was run on
 * PostgreSQL only (`test/database/cockroachdb.test.ts`).
 * @param settings url: `sqlite:PATH`, relative to the working directory, or a server's
 * @throws StoreUnavailable
 */
export async function openDatabase(settings: ServerSettings): Promise<DataSource> {
  return attemptRead(`open the database ${shownUrl(settings.url)}`, async () => {
    const engine = engineOf(settings.url)
    const dataSource = new DataSource({
      ...(await driverOptions(settings)),
      entities: [...schemasFor(engine)],
      migrations,
      migrationsTableName: MIGRATIONS_TABLE,
      // Not on standard output: a migration that another process did first is no failure.
      logger: 'debug',
    } as DataSourceOptions)
    return dataSource.initialize()
  })
}

/** What TypeORM is told about one engine. */
async function driverOptions(settings: ServerSettings): Promise<Partial<DataSourceOptions>> {
  const { url } = settings
  const share = { ...settings, connections: shareConnections(settings.connections).others }
  const type = engineOf(url)
  switch (type) {
    case 'better-sqlite3':
      return sqliteOptions(url)
    case 'mysql': {
      // Imported where they are used: a start with SQLite need not wait for them.
      const { createMysqlPool, mysqlSettings } = await import('./mysql-pool.ts')
      const mysql = mysqlSettings(share)
      const createPool = (options: object) => createMysqlPool({ ...mysql, options })
      return { type, driver: { createPool }, extra: mysql.options }
    }
    default: {
      const { PostgresPool, postgresOptions } = await import('./postgres-pool.ts')
      const { waitForDisk } = await import('./postgres-session.ts')
      // CockroachDB waits for its disks always, and knows no such setting.
      const session = type === 'postgres' ? `SELECT ${waitForDisk('session')}` : ''
      const extra = postgresOptions({ ...share, session })
      return { type, driver: { Pool: PostgresPool }, extra, poolErrorHandler: () => {} }
    }
  }
}

function sqliteOptions(url: string): Partial<DataSourceOptions> {
  const database = sqlitePath(url)
  mkdirSync(dirname(database), { recursive: true, mode: 0o700 })
  makePrivately(database)
  return {
    type: 'better-sqlite3',
    driver: Sqlite,
    database,
    timeout: BUSY_TIMEOUT,
    prepareDatabase: (connection: { pragma(text: string): void }) => {
      connection.pragma('journal_mode = WAL')
      connection.pragma('synchronous = FULL')
      // Overwrite what is deleted: an erased private half must not linger in free pages.
      connection.pragma('secure_delete = ON')
    },
  }
}

/**
 * Makes an empty file that only its owner can read, unless one is there: SQLite itself lets everybody read
 * what it makes. It gives the files beside a database the mode of the database.
 */
function makePrivately(path: string): void {
  try {
    closeSync(openSync(path, 'a', 0o600))
  } catch {
    // SQLite says better what is wrong with the path.
  }
}

/** The file a SQLite URL names. */
export function sqlitePath(url: string): string {
  return resolve(url.slice('sqlite:'.length))
}
