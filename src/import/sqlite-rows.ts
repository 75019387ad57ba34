import Database from 'better-sqlite3-napi'
import { refusal } from './refusal.ts'
import { ROWS_MAX, type Row, type Table } from './row.ts'

const MAGIC = 'SQLite format 3\0'
/** Where the header says whether the newest pages are in a log beside the file. */
const VERSIONS_AT = 18

export function isSqlite(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.subarray(0, MAGIC.length)).toString('latin1') === MAGIC
}

/** Has it such a table? A view of that name is none. @throws ImportRefused where the file is damaged */
export function sqliteHas(bytes: Uint8Array, name: string, source: string): boolean {
  return opened(bytes, source, (database) => hasTable(database, name))
}

/**
 * Reads a table of a SQLite file that was read whole.
 * @throws ImportRefused `input_malformed` where the file is damaged or has no such table
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
    // The rows are objects by the names of the columns.
    return database
      .prepare(`SELECT ${columns} FROM "${table.name}" LIMIT ${ROWS_MAX + 1}`)
      .all() as Row[]
  })
}

/** A stored one: what a view, a virtual table or a generated column gives is worked out, by whatever the file says. */
function hasTable(database: Database.Database, name: string): boolean {
  const stored = database.prepare(
    "SELECT 1 FROM sqlite_master WHERE name = ? COLLATE NOCASE AND type = 'table' AND rootpage > 0",
  )
  const generated = database.prepare('SELECT 1 FROM pragma_table_xinfo(?) WHERE hidden > 1')
  return stored.get(name) !== undefined && generated.get(name) === undefined
}

function opened<T>(bytes: Uint8Array, source: string, read: (database: Database.Database) => T): T {
  // Not copied, because it may be large and SQLite makes a copy itself.
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const versions = Buffer.from(file.subarray(VERSIONS_AT, VERSIONS_AT + 2))
  let database: Database.Database | undefined
  try {
    // A file in WAL mode opens from memory only as one without a log.
    file.fill(1, VERSIONS_AT, VERSIONS_AT + versions.length)
    database = new Database(file, { readonly: true })
    // What a hostile schema calls may have no side effects.
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
