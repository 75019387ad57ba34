import { copyFileSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3-napi'
import { DataSource, type DataSourceOptions } from 'typeorm'
import { engineOf, shownUrl } from '../connection/database-url.ts'
import { StoreUnavailable } from '../errors.ts'

/** A table of another system's database, read and never written. */
export interface ForeignTable {
  readonly name: string
  readonly columns: readonly string[]
  /** Columns of instants, which are read as text: drivers would round them to milliseconds. */
  readonly instants: readonly string[]
  /** Most rows that are read. */
  readonly most: number
  /** Most bytes that these rows may have together. */
  readonly bytes: number
}

/**
 * The rows of a table.
 * @param url of PostgreSQL, MySQL or MariaDB
 * @returns values by column; undefined where they have too many bytes
 * @throws StoreUnavailable
 */
export async function readForeignTable(
  url: string,
  { name, columns, instants, most, bytes }: ForeignTable,
): Promise<readonly Readonly<Record<string, unknown>>[] | undefined> {
  const isMysql = engineOf(url) === 'mysql'
  const quote = (word: string) => (isMysql ? `\`${word}\`` : `"${word}"`)
  const selected = columns.map((column) =>
    instants.includes(column)
      ? `CAST(${quote(column)} AS ${isMysql ? 'CHAR' : 'varchar'}) AS ${quote(column)}`
      : quote(column),
  )
  const dataSource = new DataSource(optionsOf(url))
  try {
    await dataSource.initialize()
    if (!isMysql) await dataSource.query("SET TIME ZONE 'UTC'")
    const asText = isMysql ? 'CHAR' : 'text'
    const sizes = columns.map(
      (column) => `COALESCE(OCTET_LENGTH(CAST(${quote(column)} AS ${asText})), 0)`,
    )
    // The server adds them up, because a driver takes into memory whatever it is sent.
    const [sum] = await dataSource.query(
      `SELECT SUM(${sizes.join(' + ')}) AS bytes FROM (SELECT * FROM ${quote(name)} LIMIT ${most}) AS some_rows`,
    )
    if (Number(sum?.bytes ?? 0) > bytes) return undefined
    return await dataSource.query(`SELECT ${selected.join(', ')} FROM ${quote(name)} LIMIT ${most}`)
  } catch (error) {
    const { message } = error as Error
    throw new StoreUnavailable(`Table ${name} of ${shownUrl(url)} cannot be read: ${message}`)
  } finally {
    if (dataSource.isInitialized) await dataSource.destroy()
  }
}

/**
 * A SQLite database as one file would have it, with what its log holds besides.
 * @returns undefined where it has more bytes than `max`
 * @throws StoreUnavailable
 */
export function wholeSqlite(path: string, max: number): Uint8Array | undefined {
  try {
    return serializedAnyhow(path, max)
  } catch (error) {
    const { message } = error as Error
    throw new StoreUnavailable(`The database ${path} cannot be read: ${message}`)
  }
}

/**
 * Reads a copy where the directory is read-only, because SQLite reads a log only with another file
 * beside it, which it cannot make there. Nobody writes to the database then, since that file would
 * exist.
 */
function serializedAnyhow(path: string, max: number): Uint8Array | undefined {
  try {
    return serialized(path, max)
  } catch (error) {
    if ((error as { readonly code?: string }).code !== 'SQLITE_CANTOPEN') throw error
    return statSync(`${path}-wal`).size > max ? undefined : serializedCopy(path, max)
  }
}

function serialized(path: string, max: number): Uint8Array | undefined {
  const database = new Sqlite(path, { readonly: true, fileMustExist: true })
  try {
    const [pages, size] = ['page_count', 'page_size'].map((name) =>
      Number(database.pragma(name, { simple: true })),
    )
    return (pages ?? 0) * (size ?? 0) > max ? undefined : database.serialize()
  } finally {
    database.close()
  }
}

function serializedCopy(path: string, max: number): Uint8Array | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-'))
  try {
    const copy = join(folder, 'copy.db')
    for (const part of ['', '-wal']) copyFileSync(`${path}${part}`, `${copy}${part}`)
    return serialized(copy, max)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function optionsOf(url: string): DataSourceOptions {
  switch (engineOf(url)) {
    case 'mysql':
      return { type: 'mysql', url: url.replace(/^mariadb:/, 'mysql:'), timezone: 'Z' }
    default:
      // One connection, so that what is set for the session holds for the query.
      return { type: 'postgres', url, extra: { max: 1 } }
  }
}
