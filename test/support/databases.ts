import { join } from 'node:path'
import { DataSource, type MigrationInterface } from 'typeorm'
import { type FreshDatabase, service } from '../../lab/services.ts'
import { temporaryFolder } from '../../lab/temporary.ts'
import { openDatabase } from '../../src/database/database.ts'
import { migrate } from '../../src/database/migrate.ts'

/** The databases that the conformance suites run on. */
export interface TestedDatabase {
  readonly name: 'SQLite' | 'PostgreSQL' | 'MariaDB'
  /** Why its tests are skipped, if they are. */
  readonly skip: string | undefined
  /** A database of its own without tables. */
  create(): Promise<FreshDatabase>
}

const postgres = await service('postgres')
const mariadb = await service('mariadb')

export const DATABASES: readonly TestedDatabase[] = [
  { name: 'SQLite', skip: undefined, create: createSqlite },
  { name: 'PostgreSQL', ...postgres },
  { name: 'MariaDB', ...mariadb },
]

/** Few, as a server has a hundred for all tests together. */
export function settingsOf({ url }: { readonly url: string }) {
  return { url, connections: 4, timeout: 5 }
}

async function createSqlite(): Promise<FreshDatabase> {
  const folder = await temporaryFolder()
  return {
    url: `sqlite:${join(folder.path, 'test.db')}`,
    drop: folder.remove,
    [Symbol.asyncDispose]: folder.remove,
  }
}

export interface MigratedDatabase {
  readonly url: string
  readonly dataSource: DataSource
  close(): Promise<void>
}

/** A database of its own with its tables. */
export async function createMigrated(database: TestedDatabase): Promise<MigratedDatabase> {
  const { url, drop } = await database.create()
  try {
    const dataSource = await openDatabase(settingsOf({ url }))
    await migrate(dataSource)
    return {
      url,
      dataSource,
      close: async () => {
        await dataSource.destroy()
        await drop()
      },
    }
  } catch (error) {
    await drop()
    throw error
  }
}

/** Deletes all rows: making a database takes a server longer than a test does. */
export async function empty(dataSource: DataSource): Promise<void> {
  for (const { tableName } of dataSource.entityMetadatas) {
    await dataSource.query(`DELETE FROM ${dataSource.driver.escape(tableName)}`)
  }
}

/** The same database as a version saw it that had these migrations and no later ones. */
export async function openAsBefore(
  place: { readonly url: string },
  known: readonly (new () => MigrationInterface)[],
): Promise<DataSource> {
  const opened = await openDatabase(settingsOf(place))
  await opened.destroy()
  return new DataSource({ ...opened.options, migrations: [...known] }).initialize()
}

/** The same database as this version has it; to be closed before it is dropped. */
export async function openMigrated(place: {
  readonly url: string
}): Promise<AsyncDisposable & { readonly dataSource: DataSource }> {
  const dataSource = await openDatabase(settingsOf(place))
  await migrate(dataSource)
  return { dataSource, [Symbol.asyncDispose]: () => dataSource.destroy() }
}
