import { mkdirSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { DataSource } from 'typeorm'
import { attempt, BUSY_TIMEOUT } from './failures.ts'
import { Initial0001 } from './migrations/0001-initial.ts'
import { Nodes0002 } from './migrations/0002-nodes.ts'
import { schemas } from './schema.ts'

export const migrations = [Initial0001, Nodes0002]

/** How often, and after how many milliseconds, a migration is tried again while another process migrates. */
const MIGRATION_RETRIES = 20
const MIGRATION_PAUSE = 100

/**
 * Opens the database that a URL names. What is written through it is durable when the promise
 * resolves: keys, events, clients and people must survive a power failure.
 * @param url `sqlite:PATH`, relative to the working directory
 * @throws StoreUnavailable
 */
export async function openDatabase(url: string): Promise<DataSource> {
  const database = sqlitePath(url)
  return attempt(`open the database ${url}`, async () => {
    mkdirSync(dirname(database), { recursive: true, mode: 0o700 })
    const dataSource = new DataSource({
      type: 'better-sqlite3',
      database,
      entities: schemas,
      migrations,
      migrationsTableName: 'migration',
      timeout: BUSY_TIMEOUT,
      // Not on standard output: a migration that another process did first is no failure.
      logger: 'debug',
      prepareDatabase: (connection: { pragma(text: string): void }) => {
        connection.pragma('journal_mode = WAL')
        connection.pragma('synchronous = FULL')
        // Overwrite what is deleted: an erased private half must not linger in free pages.
        connection.pragma('secure_delete = ON')
      },
    })
    return dataSource.initialize()
  })
}

/** The file a SQLite URL names. */
export function sqlitePath(url: string): string {
  return resolve(url.slice('sqlite:'.length))
}

/**
 * Brings the schema up to date. Several processes may try at once: each migration runs in a
 * transaction, one of them wins and the others find it done.
 * @returns the names of the migrations that this process applied
 * @throws StoreUnavailable
 */
export async function migrate(dataSource: DataSource): Promise<readonly string[]> {
  return attempt('migrate the database', async () => {
    for (let left = MIGRATION_RETRIES; ; left--) {
      try {
        const applied = await dataSource.runMigrations({ transaction: 'each' })
        return applied.map((migration) => migration.name)
      } catch (error) {
        if (left === 0) throw error
        await delay(MIGRATION_PAUSE)
      }
    }
  })
}

export interface MigrationStatus {
  readonly name: string
  readonly applied: boolean
}

/** Every migration this version knows and whether the database has it. */
export async function migrationStatus(dataSource: DataSource): Promise<readonly MigrationStatus[]> {
  return attempt('read the migrations of the database', async () => {
    const runner = dataSource.createQueryRunner()
    try {
      const rows = (await runner.hasTable('migration'))
        ? ((await runner.query('SELECT name FROM migration')) as { name: string }[])
        : []
      const done = new Set(rows.map((row) => row.name))
      return dataSource.migrations.map(({ name = '' }) => ({ name, applied: done.has(name) }))
    } finally {
      await runner.release()
    }
  })
}
