import { Refused } from '../errors.ts'
import { storedText } from './element-store.ts'
import { KeyRingUnreadable } from './errors.ts'
import type { NewElement, RingStore } from './ring-store.ts'

/** A ring in a table, as `PersistKeysToDbContext` of Entity Framework Core keeps it. */

/** Members of a database that the store needs, as a TypeORM `DataSource` has them. */
export interface RingDatabase {
  readonly options: { readonly type: string }
  createQueryRunner(): RingQueryRunner
}

export interface RingQueryRunner {
  query(sql: string, parameters?: unknown[]): Promise<unknown>
  startTransaction(): Promise<void>
  commitTransaction(): Promise<void>
  rollbackTransaction(): Promise<void>
  release(): Promise<void>
}

/** Table of Entity Framework Core if the context names no other. */
const DEFAULT_TABLE = 'DataProtectionKeys'

interface SqlStoreOptions {
  readonly database: RingDatabase
  /** Name of the table, with a schema before a dot if it needs one. */
  readonly table?: string
  /** Name of the store for messages. */
  readonly where?: string
  readonly close?: () => Promise<void>
}

interface Row {
  readonly Id: number | string
  readonly FriendlyName: string | null
  readonly Xml: string | null
}

/**
 * Differences of one engine: names, parameters, and how to hold off other writers during a
 * transaction.
 */
interface Dialect {
  readonly quote: (name: string) => string
  readonly parameter: (number: number) => string
  readonly add: (runner: RingQueryRunner, addition: Addition) => Promise<boolean>
}

interface Addition {
  /** Quoted name of the table. */
  readonly table: string
  readonly element: NewElement
  readonly version: string
  /** Compares the version and inserts. The caller must hold off other writers. */
  readonly insertIfSame: () => Promise<boolean>
}

/** Seconds for which a writer waits for another one. */
const PATIENCE = 10

export function openSqlStore(options: SqlStoreOptions): RingStore {
  const { database, table = DEFAULT_TABLE, close = async () => {} } = options
  const { type } = database.options
  const where = options.where ?? `table ${table} (${type})`
  const { quote, parameter, add } = dialectOf(type)
  const name = table.split('.').map(quote).join('.')
  const columns = ['Id', 'FriendlyName', 'Xml'].map(quote)
  const select = `SELECT ${columns.join(', ')} FROM ${name} ORDER BY ${quote('Id')}`
  const insert = `INSERT INTO ${name} (${columns.slice(1).join(', ')}) VALUES (${parameter(1)}, ${parameter(2)})`

  const withRunner = async <T>(what: string, use: (runner: RingQueryRunner) => Promise<T>) => {
    const runner = database.createQueryRunner()
    try {
      return await use(runner)
    } catch (error) {
      throw unavailable(where, what, error)
    } finally {
      await runner.release()
    }
  }
  // The columns are those of the statement.
  const readRows = async (runner: RingQueryRunner) => (await runner.query(select)) as Row[]

  return {
    where,
    read: () =>
      withRunner('read', async (runner) => {
        const rows = await readRows(runner)
        const elements = rows.map(({ Id, Xml }) => storedText(`row ${Id} of ${table}`, Xml))
        return { elements, version: versionOf(rows) }
      }),
    append: (element: NewElement, version) =>
      withRunner('added to', (runner) => {
        const insertIfSame = async () => {
          if (versionOf(await readRows(runner)) !== version) return false
          await runner.query(insert, [element.name, element.line])
          return true
        }
        return add(runner, { table: name, element, version, insertIfSame })
      }),
    close,
  }
}

function versionOf(rows: readonly Row[]): string {
  return `${rows.length} ${rows.at(-1)?.Id ?? ''}`
}

function dialectOf(type: string): Dialect {
  switch (type) {
    case 'postgres':
      return { quote: quoted, parameter: (number) => `$${number}`, add: underTableLock }
    case 'better-sqlite3':
      return { quote: quoted, parameter: () => '?', add: inOneStatement }
    case 'mysql':
    case 'mariadb': {
      const quote = (name: string) => `\`${name.replaceAll('`', '``')}\``
      return { quote, parameter: () => '?', add: underNamedLock }
    }
  }
  const refuse = async () => {
    throw new Refused(
      'ring_read_only',
      { type },
      `A key ring in ${type} is read and not added to. Rings are kept in PostgreSQL, MariaDB, MySQL, ` +
        'SQLite, Redis and directories.',
    )
  }
  return { quote: quoted, parameter: () => '?', add: refuse }
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

async function transaction<T>(runner: RingQueryRunner, act: () => Promise<T>): Promise<T> {
  await runner.startTransaction()
  try {
    const result = await act()
    await runner.commitTransaction()
    return result
  } catch (error) {
    await runner.rollbackTransaction().catch(() => {})
    throw error
  }
}

/** Holds off other writers, including ASP.NET Core, but not readers. */
function underTableLock(runner: RingQueryRunner, { table, insertIfSame }: Addition) {
  return transaction(runner, async () => {
    await runner.query(`SET LOCAL lock_timeout = '${PATIENCE}s'`)
    await runner.query(`LOCK TABLE ${table} IN SHARE ROW EXCLUSIVE MODE`)
    return insertIfSame()
  })
}

/** Adds in one statement. SQLite has one writer at a time, and a statement is a transaction. */
async function inOneStatement(
  runner: RingQueryRunner,
  { table, element, version }: Addition,
): Promise<boolean> {
  const added = await runner.query(
    `INSERT INTO ${table} ("FriendlyName", "Xml") SELECT ?, ?
     WHERE (SELECT COUNT(*) || ' ' || COALESCE(MAX("Id"), '') FROM ${table}) = ? RETURNING "Id"`,
    [element.name, element.line, version],
  )
  return Array.isArray(added) && added.length === 1
}

/**
 * Holds off other keepers by a lock of the session, because a lock on the table would commit the
 * transaction. Each node of a Galera cluster has its own such lock.
 */
async function underNamedLock(
  runner: RingQueryRunner,
  { table, insertIfSame }: Addition,
): Promise<boolean> {
  const name = "LEFT(CONCAT('data-protection ', DATABASE(), ' ', ?), 64)"
  // The column is that of the statement.
  const [answer] = (await runner.query(`SELECT GET_LOCK(${name}, ${PATIENCE}) AS taken`, [
    table,
  ])) as { taken: unknown }[]
  if (Number(answer?.taken) !== 1) throw new Error('another writer holds the lock')
  try {
    return await transaction(runner, insertIfSame)
  } finally {
    await runner.query(`SELECT RELEASE_LOCK(${name}) AS released`, [table])
  }
}

function unavailable(where: string, what: string, error: unknown): Error {
  if (error instanceof Refused) return error
  const { message } = error as Error
  return new KeyRingUnreadable(
    'ring_unavailable',
    `The key ring in ${where} cannot be ${what}: ${message}`,
    error,
  )
}
