import { csvRows, hasHeader } from './csv-rows.ts'
import { assertSize, DATABASE_BYTES_MAX, decodeText, INPUT_BYTES_MAX, parseJson } from './input.ts'
import { refusal } from './refusal.ts'
import { COLUMNS_MAX, columnOf, isHeader, ROWS_MAX, type Row, type Table } from './row.ts'
import { looksLikeDump, sqlRows } from './sql-dump.ts'
import { isSqlite, sqliteRows } from './sqlite-rows.ts'

/**
 * Reads a table from a SQLite file, a dump of `pg_dump`, `mysqldump` or `sqlite3 .dump`, CSV with
 * or without header, text with tabs, or JSON. The format is told by the content.
 * @throws ImportRefused
 */
export function tableRows(bytes: Uint8Array, table: Table, source: string): readonly Row[] {
  assertSize(bytes, isSqlite(bytes) ? DATABASE_BYTES_MAX : INPUT_BYTES_MAX, source)
  const rows = rowsOf(bytes, table, source)
  if (rows.length > ROWS_MAX) throw tooManyRows(source)
  return rows
}

function tooManyRows(source: string) {
  return refusal('input_too_large', `${source} has more than ${ROWS_MAX} rows.`)
}

/**
 * Text of a cell. PostgreSQL and `hex()` write bytes in hexadecimal; COPY as text doubles the
 * backslash.
 */
export function cellText(value: unknown): string | undefined {
  if (Buffer.isBuffer(value)) return decodeUtf8(value)
  if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  if (typeof value !== 'string') return undefined
  // JSON begins with a bracket or brace, then a brace or quote, here in hexadecimal.
  const [mark] = /^\\{1,2}x/.exec(value) ?? []
  const hex = mark ? value.slice(mark.length) : /^(?:5B7B|7B22|7B7D)/i.test(value) ? value : ''
  const bytes = Buffer.from(hex, 'hex')
  return hex !== '' && bytes.length * 2 === hex.length ? decodeUtf8(bytes) : value
}

function decodeUtf8(bytes: Buffer): string | undefined {
  const text = bytes.toString('utf8')
  return text.includes('\ufffd') ? undefined : text
}

function rowsOf(bytes: Uint8Array, table: Table, source: string): readonly Row[] {
  if (isSqlite(bytes)) return sqliteRows(bytes, table, source)
  const text = decodeText(bytes, source)
  if (text.trim() === '') throw refusal('input_empty', `${source} is empty.`)
  if (/^\s*[[{]/.test(text)) return jsonRows(parseJson(listed(text, source), source), table, source)
  if (!hasHeader(text, table) && looksLikeDump(text)) return sqlRows(text, table, source)
  return csvRows(text, table, source)
}

/** Text of one list, where each line is a row, as PostgreSQL's row_to_json gives it. */
function listed(text: string, source: string): string {
  const [first = '', second = '', ...others] = text.trim().split('\n', ROWS_MAX + 2)
  if (!first.trimEnd().endsWith('}') || !second.trimStart().startsWith('{')) return text
  if (others.length === ROWS_MAX) throw tooManyRows(source)
  return `[${[first, second, ...others].filter((line) => line.trim() !== '').join(',')}]`
}

function jsonRows(value: unknown, table: Table, source: string): readonly Row[] {
  if (Array.isArray(value) && value.length > ROWS_MAX) throw tooManyRows(source)
  const rows = unwrapped(Array.isArray(value) ? value : [value], table)
  if (rows.length > ROWS_MAX) throw tooManyRows(source)
  if (rows.every(isRow)) return rows.map((row) => spelled(row, table))
  throw refusal('input_malformed', `${source} is JSON, and no list of rows.`)
}

/**
 * The rows in what programs put around them: an object whose one list is the rows (DBeaver, ROOT of
 * SQL Server, a list of kubectl), or objects that tell of the tables of an export (phpMyAdmin).
 */
function unwrapped(values: readonly unknown[], table: Table): readonly unknown[] {
  if (values.some((value) => isRow(value) && isHeader(Object.keys(value), table))) return values
  const ofTable = values.find((value) => isRow(value) && value.name === table.name && value.data)
  const only = ofTable ?? (values.length === 1 ? values[0] : undefined)
  const lists = isRow(only) ? Object.values(only).filter((member) => Array.isArray(member)) : []
  const [list] = lists
  return list && lists.length === 1 && list.every(isRow) ? list : values
}

function isRow(value: unknown): value is Row {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A row under the table's names of its columns. A member of exactly that name goes first. */
function spelled(row: Row, table: Table): Row {
  const names = Object.keys(row)
  const isExact = table.columns.every((column) => Object.hasOwn(row, column))
  if (isExact || names.length > COLUMNS_MAX) return row
  return { ...Object.fromEntries(names.map((name) => [columnOf(name, table), row[name]])), ...row }
}
