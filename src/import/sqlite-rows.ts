import Database from 'better-sqlite3-napi'
import { refusal } from './refusal.ts'
import { ROWS_MAX, type Row, type Table } from './row.ts'

const MAGIC = 'SQLite format 3\0'
/** Place in the header that tells whether the newest pages are in a log beside the file. */
const VERSIONS_AT = 18

export function isSqlite(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.subarray(0, MAGIC.length)).toString('latin1') === MAGIC
}

/**
 * True if the file has the table; a view of that name does not count.
 * @throws ImportRefused if the file is damaged
 */
export function sqliteHas(bytes: Uint8Array, name: string, source: string): boolean {
  return opened(bytes, source, (database) => hasTable(database, name))
}

/**
 * Reads a table of a SQLite file from the file's bytes.
 * @throws ImportRefused `input_malformed` if the file is damaged or lacks the table
 */
export function sqliteRows(bytes: Uint8Array, table: Table, source: string): readonly Row[] {
  return opened(bytes, source, (database) => {
    if (!hasTable(database, table.name)) {
      throw refusal(
        'input_malformed',
        `${source} has no table ${table.name} of its own. If its program runs, copy the file with: sqlite3 FILE '.backup COPY'`,
      )
    }
    const columns = table.columns.map((column) => `"${column}"`).join(', ')
    // The rows are objects with the columns as members.
    return database
      .prepare(`SELECT ${columns} FROM "${table.name}" LIMIT ${ROWS_MAX + 1}`)
      .all() as Row[]
  })
}

/**
 * True if the table is stored. A view, a virtual table or a generated column would be computed by
 * any rules of the file.
 */
function hasTable(database: Database.Database, name: string): boolean {
  const stored = database.prepare(
    "SELECT 1 FROM sqlite_master WHERE name = ? COLLATE NOCASE AND type = 'table' AND rootpage > 0",
  )
  const generated = database.prepare('SELECT 1 FROM pragma_table_xinfo(?) WHERE hidden > 1')
  return stored.get(name) !== undefined && generated.get(name) === undefined
}

function opened<T>(bytes: Uint8Array, source: string, read: (database: Database.Database) => T): T {
  // The bytes are not copied here, because the file may be large and SQLite makes a copy itself.
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const versions = Buffer.from(file.subarray(VERSIONS_AT, VERSIONS_AT + 2))
  let database: Database.Database | undefined
  try {
    // A database in WAL mode opens from memory only if its header says that there is no log.
    file.fill(1, VERSIONS_AT, VERSIONS_AT + versions.length)
    database = new Database(file, { readonly: true })
    // Functions that a hostile schema calls must have no side effects.
    database.pragma('trusted_schema = OFF')
    return read(database)
  } catch (error) {
    if (!(error instanceof Database.SqliteError)) throw error
    throw refusal('input_malformed', `${source} is a damaged SQLite file, or lacks a column.`)
  } finally {
    file.set(versions, Math.min(VERSIONS_AT, file.length))
    database?.close()
  }
}
