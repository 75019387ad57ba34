import { closeSync, openSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import Sqlite from 'better-sqlite3-napi'
import { DataSource, type DataSourceOptions } from 'typeorm'
import {
  engineOf,
  type ServerSettings,
  shareConnections,
  shownUrl,
} from '../connection/database-url.ts'
import { makePrivateFolder } from '../private-folder.ts'
import { attemptRead, BUSY_TIMEOUT } from './failures.ts'
import { Initial0001 } from './migrations/0001-initial.ts'
import { Nodes0002 } from './migrations/0002-nodes.ts'
import { Claims0003 } from './migrations/0003-claims.ts'
import { UserNames0004 } from './migrations/0004-user-names.ts'
import { UserNameKeys0005 } from './migrations/0005-user-name-keys.ts'
import { Issuers0006 } from './migrations/0006-issuers.ts'
import { Kids0007 } from './migrations/0007-kids.ts'
import { ArtifactRows0008 } from './migrations/0008-artifact-rows.ts'
import { Audit0009 } from './migrations/0009-audit.ts'
import { schemasFor } from './tables.ts'

export const migrations = [
  Initial0001,
  Nodes0002,
  Claims0003,
  UserNames0004,
  UserNameKeys0005,
  Issuers0006,
  Kids0007,
  ArtifactRows0008,
  Audit0009,
]

/** The table in which TypeORM notes which migrations were applied. */
export const MIGRATIONS_TABLE = 'migration'

/**
 * Opens the database of a URL. Writes are durable when their promise resolves, because keys,
 * events, clients and people must survive a power failure.
 *
 * If a server becomes unavailable, calls are rejected meanwhile, and new connections are made when
 * they are needed.
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
      // Nothing on standard output, because a migration that another process did first is no
      // failure.
      logger: 'debug',
    } as DataSourceOptions)
    return dataSource.initialize()
  })
}

/** Options of TypeORM for the engine. */
async function driverOptions(settings: ServerSettings): Promise<Partial<DataSourceOptions>> {
  const { url } = settings
  const share = { ...settings, connections: shareConnections(settings.connections).others }
  const type = engineOf(url)
  switch (type) {
    case 'better-sqlite3':
      return sqliteOptions(url)
    case 'mysql': {
      // Imported only here, so that a start with SQLite need not load them.
      const { createMysqlPool, mysqlSettings } = await import('./mysql-pool.ts')
      const mysql = mysqlSettings(share)
      const createPool = (options: object) => createMysqlPool({ ...mysql, options })
      return { type, driver: { createPool }, extra: mysql.options }
    }
    case 'postgres': {
      const { PostgresPool, postgresOptions } = await import('./postgres-pool.ts')
      const { waitForDisk } = await import('./wait-for-disk.ts')
      const session = `SELECT ${waitForDisk('session')}`
      const extra = postgresOptions({ ...share, session })
      return { type, driver: { Pool: PostgresPool }, extra, poolErrorHandler: () => {} }
    }
  }
}

async function sqliteOptions(url: string): Promise<Partial<DataSourceOptions>> {
  const database = sqlitePath(url)
  await makePrivateFolder(dirname(database))
  makePrivately(database)
  return {
    type: 'better-sqlite3',
    driver: Sqlite,
    database,
    timeout: BUSY_TIMEOUT,
    prepareDatabase: (connection: { pragma(text: string): void }) => {
      connection.pragma('journal_mode = WAL')
      connection.pragma('synchronous = FULL')
      // Overwrites deleted content, because an erased private half must not remain in free pages.
      connection.pragma('secure_delete = ON')
    },
  }
}

/**
 * Makes an empty file that only its owner can read, unless it exists, because SQLite makes files
 * that everybody can read. The files beside a database get the mode of the database.
 */
function makePrivately(path: string): void {
  try {
    closeSync(openSync(path, 'a', 0o600))
  } catch {
    // SQLite's own error describes the problem of the path better.
  }
}

/** The file a SQLite URL names. */
export function sqlitePath(url: string): string {
  return resolve(url.slice('sqlite:'.length))
}
