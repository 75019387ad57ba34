import { csvRows } from './csv-rows.ts'
import { assertSize, DATABASE_BYTES_MAX, decodeText, INPUT_BYTES_MAX, parseJson } from './input.ts'
import { refusal } from './refusal.ts'
import { ROWS_MAX, type Row, type Table } from './row.ts'
import { sqlRows } from './sql-dump.ts'
import { isSqlite, sqliteRows } from './sqlite-rows.ts'

/**
 * Reads a table from a SQLite file, a dump of `pg_dump`, `mysqldump` or `sqlite3 .dump`, CSV with
 * or without header, text with tabs, or JSON. The format is told by the content.
 * @throws ImportRefused
 */
export function tableRows(bytes: Uint8Array, table: Table, source: string): readonly Row[] {
  assertSize(bytes, isSqlite(bytes) ? DATABASE_BYTES_MAX : INPUT_BYTES_MAX, source)
  const rows = rowsOf(bytes, table, source)
  if (rows.length > ROWS_MAX)
    throw refusal('input_too_large', `${source} has more than ${ROWS_MAX} rows.`)
  return rows
}

/** Text of a cell. PostgreSQL and `hex()` write bytes in hexadecimal. */
export function cellText(value: unknown): string | undefined {
  if (Buffer.isBuffer(value)) return decodeUtf8(value)
  if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  if (typeof value !== 'string') return undefined
  // JSON begins with a bracket or brace, then a brace or quote, here in hexadecimal.
  const hex = value.startsWith('\\x')
    ? value.slice(2)
    : /^(?:5B7B|7B22|7B7D)/i.test(value)
      ? value
      : ''
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
  if (/^\s*[[{]/.test(text)) return jsonRows(parseJson(text, source), source)
  if (!hasHeader(text, table) && /^[ \t]*(?:INSERT INTO|COPY)\s/im.test(text))
    return sqlRows(text, table, source)
  return csvRows(text, table, source)
}

/** Most characters of a header; millions of cells may follow on its line. */
const HEADER_MAX = 10_000

/**
 * True if the text is CSV with a header. The header is tried first, because cells may contain any
 * text, also statements.
 */
function hasHeader(text: string, { columns }: Table): boolean {
  const [line = ''] = text.slice(0, HEADER_MAX).split('\n', 1)
  const names = line.split(/[,\t]/).map((name) => name.trim().replace(/^"|"$/g, ''))
  return columns.every((column) => names.includes(column))
}

function jsonRows(value: unknown, source: string): readonly Row[] {
  const rows = Array.isArray(value) ? value : [value]
  if (rows.every((row) => typeof row === 'object' && row !== null && !Array.isArray(row)))
    return rows
  throw refusal('input_malformed', `${source} is JSON, and no list of rows.`)
}
