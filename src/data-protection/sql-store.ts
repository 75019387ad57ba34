import { Refused } from '../errors.ts'
import { storedText } from './element-store.ts'
import { KeyRingUnreadable } from './errors.ts'
import { largestRead, tooLarge } from './ring-size.ts'
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

/** A row, whose text is left out if it is too large. */
interface Row {
  readonly Id: number | string
  readonly Size: number | string | null
  readonly Xml: string | null
  /** 1 if the text was left out and has the word `revocation`. */
  readonly MayRevoke: number | string
}

/**
 * Differences of one engine: names, parameters, and how to hold off other writers during a
 * transaction.
 */
interface Dialect {
  readonly quote: (name: string) => string
  /** Bytes of a column. */
  readonly bytes: (column: string) => string
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
  const { quote, bytes, parameter, add } = dialectOf(type)
  const name = table.split('.').map(quote).join('.')
  const [id, xml] = [quote('Id'), quote('Xml')]
  const size = bytes(xml)
  const idAndSize = `${id}, ${size} AS ${quote('Size')}`
  const selectSizes = `SELECT ${idAndSize} FROM ${name} ORDER BY ${id}`
  /** Leaves out texts that are too large; a revocation among them must not be overlooked. */
  const select = (most: number) =>
    `SELECT ${idAndSize}, CASE WHEN ${size} <= ${most} THEN ${xml} END AS ${xml},
       CASE WHEN ${size} > ${most} AND ${xml} LIKE '%revocation%' THEN 1 ELSE 0 END AS ${quote('MayRevoke')}
     FROM ${name} ORDER BY ${id}`
  const insert = `INSERT INTO ${name} (${quote('FriendlyName')}, ${xml}) VALUES (${parameter(1)}, ${parameter(2)})`

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
  // The columns are those of the statements.
  const readSizes = async (runner: RingQueryRunner) =>
    (await runner.query(selectSizes)) as Pick<Row, 'Id' | 'Size'>[]
  const toElement = ({ Id, Size, Xml, MayRevoke }: Row) => {
    const source = `row ${Id} of ${table}`
    const isLeftOut = Xml === null && Size !== null
    return isLeftOut
      ? tooLarge(source, Number(Size), Number(MayRevoke) === 1)
      : storedText(source, Xml)
  }

  return {
    where,
    read: () =>
      withRunner('read', async (runner) => {
        const sizes = (await readSizes(runner)).map((row) => Number(row.Size))
        const rows = (await runner.query(select(largestRead(sizes)))) as Row[]
        return { elements: rows.map(toElement), version: versionOf(rows) }
      }),
    append: (element: NewElement, version) =>
      withRunner('added to', (runner) => {
        const insertIfSame = async () => {
          if (versionOf(await readSizes(runner)) !== version) return false
          await runner.query(insert, [element.name, element.line])
          return true
        }
        return add(runner, { table: name, element, version, insertIfSame })
      }),
    close,
  }
}

function versionOf(rows: readonly Pick<Row, 'Id'>[]): string {
  return `${rows.length} ${rows.at(-1)?.Id ?? ''}`
}

function dialectOf(type: string): Dialect {
  switch (type) {
    case 'postgres':
      return {
        quote: quoted,
        bytes: octets,
        parameter: (number) => `$${number}`,
        add: underTableLock,
      }
    case 'better-sqlite3': {
      const bytes = (column: string) => `length(CAST(${column} AS BLOB))`
      return { quote: quoted, bytes, parameter: () => '?', add: inOneStatement }
    }
    case 'mysql':
    case 'mariadb': {
      const quote = (name: string) => `\`${name.replaceAll('`', '``')}\``
      return { quote, bytes: octets, parameter: () => '?', add: underNamedLock }
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
  return { quote: quoted, bytes: BYTES_OF[type] ?? octets, parameter: () => '?', add: refuse }
}

/** Engines of TypeORM that count bytes in another way than the SQL standard has it. */
const BYTES_OF: Readonly<Record<string, Dialect['bytes']>> = {
  mssql: (column) => `DATALENGTH(${column})`,
  oracle: (column) => `DBMS_LOB.GETLENGTH(${column})`,
}

function octets(column: string): string {
  return `OCTET_LENGTH(${column})`
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
