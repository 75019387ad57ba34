import { refusal } from './refusal.ts'
import { columnOf, ROWS_MAX, type Row, type Table } from './row.ts'

/**
 * Rows in a dump: INSERT of SQLite, MySQL, SQL Server's scripts and `pg_dump --inserts`, and COPY
 * of `pg_dump`. No SQL is executed.
 */

const NAME = String.raw`(?:["\x60[]?[\w$]{1,128}["\x60\]]?\.){0,2}["\x60[]?([\w$]{1,128})["\x60\]]?`
/** Statements with rows. SQL Server's scripts leave INTO out. */
const INSERT = '(?:INSERT(?: IGNORE)?(?: INTO)?|REPLACE INTO)'
/** Columns in brackets. They contain no bracket, so that a search ends at the next one. */
const COLUMNS = String.raw`\(([^()]{1,2000})\)`
/**
 * Statements with rows, and places that may hold text that looks like one, because a dump also has
 * names of people. In turn: COPY, INSERT, a string, a comment to the end of its line, a quoted
 * name, a comment, a string between dollars.
 */
const TOKEN = new RegExp(
  [
    String.raw`^COPY ${NAME}\s*${COLUMNS}\s*FROM stdin;\r?\n`,
    String.raw`\b${INSERT} ${NAME}\s*(?:${COLUMNS}\s*)?VALUES\s*`,
    String.raw`'|--|"[^"\n]{0,128}"|\x60[^\x60\n]{0,128}\x60|/\*|\$(?:[a-z_]\w{0,62})?\$`,
  ].join('|'),
  'gim',
)
const STATEMENT = new RegExp(String.raw`^[ \t]*(?:${INSERT}|COPY)\s`, 'im')
/** Most cells of a row; no table of keys has a hundred columns. */
const CELLS_MAX = 100
const NUMBER = /-?\d+(?:\.\d+)?/y
const QUOTE = /'/g
const QUOTE_OR_BACKSLASH = /['\\]/g
const KEYWORD = /(NULL|TRUE|FALSE)\b/iy
const HEX = /0x((?:[0-9a-f]{2})*)\b/iy
/** Type around a value, as SQL Server's scripts write it, and behind a value of PostgreSQL. */
const CAST = /(?:CAST\s*\()?/iy
const CAST_END = /\s*AS\s+\w{1,40}(?:\s*\(\s*\w{1,10}\s*(?:,\s*\d{1,10}\s*)?\))?\s*\)/iy
const TYPE = /(?:::\w{1,40})?/y
/** Meaning of a character after a backslash, in COPY and in strings of MySQL. */
const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  b: '\b',
  f: '\f',
  v: '\v',
  '0': '\0',
}

/** True if a line begins like a statement with rows. */
export function looksLikeDump(text: string): boolean {
  return STATEMENT.test(text)
}

/**
 * Finds all rows of a table.
 * @throws ImportRefused `input_malformed`, `input_truncated`
 */
export function sqlRows(text: string, table: Table, source: string): readonly Row[] {
  const rows: Row[] = []
  const backslashes = isOfMysql(text)
  const cursor: Cursor = { text, source, backslashes, dollars: !backslashes, at: 0 }
  for (let token = nextToken(cursor); token; token = nextToken(cursor)) {
    if (rows.length > ROWS_MAX) break
    const [mark, copied, copyColumns, inserted, insertColumns] = token
    if (copied !== undefined) {
      const end = text.indexOf('\n\\.', cursor.at - 1)
      if (end === -1) throw truncated(source)
      if (isTable(copied, table)) rows.push(...copyRows(cursor, end, columnsOf(copyColumns, table)))
      cursor.at = end + 1
    } else if (inserted === undefined) {
      skip(cursor, mark)
    } else if (isTable(inserted, table)) {
      const names = columnsOf(insertColumns, table)
      do rows.push(named(names, tuple(cursor)))
      while (takes(cursor, ',') && rows.length <= ROWS_MAX)
    }
  }
  if (rows.length === 0)
    throw refusal('input_malformed', `${source} has no rows of a table ${table.name}.`)
  return rows
}

interface Cursor {
  readonly text: string
  readonly source: string
  /** True for MySQL, where a backslash escapes in every string; in standard SQL it never does. */
  readonly backslashes: boolean
  /**
   * True if the dump may have strings between dollars: not in MySQL, nor after a dollar without a
   * second one.
   */
  dollars: boolean
  at: number
}

/**
 * True for a dump of MySQL or MariaDB. Only the text before all rows counts, because rows are not
 * to be trusted.
 */
function isOfMysql(text: string): boolean {
  const start = text.search(STATEMENT)
  return /^-- (MySQL|MariaDB) dump|^\/\*![0-9M]/m.test(text.slice(0, start === -1 ? 0 : start))
}

/** Finds the next token that is no string, and makes no object for each of millions of strings. */
function nextToken(cursor: Cursor): RegExpExecArray | null {
  const { text } = cursor
  for (;;) {
    TOKEN.lastIndex = cursor.at
    if (!TOKEN.test(text)) return null
    const end = TOKEN.lastIndex
    // No other token ends with a quote.
    if (text[end - 1] !== "'") break
    cursor.at = end
    const isE = text[end - 2]?.toUpperCase() === 'E' && !/[\w$]/.test(text[end - 3] ?? '')
    cursor.at = endOfLiteral(cursor, cursor.backslashes || isE) + 1
  }
  TOKEN.lastIndex = cursor.at
  const found = TOKEN.exec(text)
  cursor.at = TOKEN.lastIndex
  return found
}

/** Moves to the end of a token without a statement. */
function skip(cursor: Cursor, mark: string): void {
  if (mark === '--') {
    const end = cursor.text.indexOf('\n', cursor.at)
    cursor.at = end === -1 ? cursor.text.length : end
  } else if (mark === '/*') {
    const end = cursor.text.indexOf('*/', cursor.at)
    if (end === -1) throw truncated(cursor.source)
    cursor.at = end + 2
  } else if (mark.startsWith('$') && cursor.dollars) {
    const end = cursor.text.indexOf(mark, cursor.at)
    if (end === -1) cursor.dollars = false
    else cursor.at = end + mark.length
  }
}

function copyRows(
  { text, at: start }: Cursor,
  end: number,
  names: readonly string[],
): readonly Row[] {
  const rows: Row[] = []
  for (let at = start; at < end && rows.length <= ROWS_MAX; ) {
    const next = text.indexOf('\n', at)
    const cells = text.slice(at, next).replace(/\r$/, '').split('\t', CELLS_MAX)
    rows.push(named(names, cells.map(copyCell)))
    at = next + 1
  }
  return rows
}

function tuple(cursor: Cursor): unknown[] {
  expect(cursor, '(')
  const cells: unknown[] = []
  do cells.push(cell(cursor))
  while (cells.length < CELLS_MAX && takes(cursor, ','))
  expect(cursor, ')')
  return cells
}

function cell(cursor: Cursor): unknown {
  skipSpace(cursor)
  const isCast = passes(cursor, CAST) !== ''
  const value = plainCell(cursor)
  if (isCast && passes(cursor, CAST_END) === undefined) throw notSql(cursor.source)
  passes(cursor, TYPE)
  return value
}

/** Moves behind what the sticky pattern finds here; undefined if it finds nothing. */
function passes(cursor: Cursor, pattern: RegExp): string | undefined {
  pattern.lastIndex = cursor.at
  const found = pattern.exec(cursor.text)?.[0]
  cursor.at += found?.length ?? 0
  return found
}

function plainCell(cursor: Cursor): unknown {
  skipSpace(cursor)
  const hex = passes(cursor, HEX)
  if (hex !== undefined) return Buffer.from(hex.slice(2), 'hex')
  const prefix = /(X|E|N|B|_binary\s*)?'/iy
  prefix.lastIndex = cursor.at
  const quoted = prefix.exec(cursor.text)
  if (quoted) {
    cursor.at = prefix.lastIndex
    const kind = (quoted[1] ?? '').toUpperCase()
    const value = literal(cursor, kind === 'E' || cursor.backslashes)
    return kind === 'X' ? Buffer.from(value, 'hex') : value
  }
  for (const pattern of [NUMBER, KEYWORD]) {
    const found = passes(cursor, pattern)
    if (found === undefined) continue
    if (pattern === NUMBER) return found
    return { NULL: null, TRUE: true, FALSE: false }[found.toUpperCase()]
  }
  throw cursor.at >= cursor.text.length
    ? truncated(cursor.source)
    : refusal(
        'input_malformed',
        `${cursor.source} has a value that is no text, number or bytes. Dump it as CSV.`,
      )
}

function literal(cursor: Cursor, escapes: boolean): string {
  const end = endOfLiteral(cursor, escapes)
  const body = cursor.text.slice(cursor.at, end).replaceAll("''", "'")
  cursor.at = end + 1
  return escapes ? unescaped(body) : body
}

/**
 * Index of the closing quote: one that is not doubled and, in MySQL and after E, has no backslash
 * before it.
 */
function endOfLiteral({ text, at, source }: Cursor, escapes: boolean): number {
  const special = escapes ? QUOTE_OR_BACKSLASH : QUOTE
  special.lastIndex = at
  while (special.test(text)) {
    const next = special.lastIndex
    if (text[next - 1] === "'" && text[next] !== "'") return next - 1
    special.lastIndex = next + 1
  }
  throw truncated(source)
}

function copyCell(cell: string): string | null {
  return cell === '\\N' ? null : unescaped(cell)
}

function unescaped(text: string): string {
  return text.replace(/\\(.)/gs, (_, char: string) => ESCAPES[char] ?? char)
}

function columnsOf(list: string | undefined, table: Table): readonly string[] {
  const names = list?.split(',').map((name) => name.trim().replace(/^["`[]|["`\]]$/g, ''))
  return names?.map((name) => columnOf(name, table)) ?? table.columns
}

function named(names: readonly string[], cells: readonly unknown[]): Row {
  return Object.fromEntries(names.map((name, at) => [name, cells[at]]))
}

function isTable(name: string | undefined, table: Table): boolean {
  return name?.toLowerCase() === table.name.toLowerCase()
}

function takes(cursor: Cursor, char: string): boolean {
  skipSpace(cursor)
  if (cursor.text[cursor.at] !== char) return false
  cursor.at++
  return true
}

function expect(cursor: Cursor, char: string): void {
  if (takes(cursor, char)) return
  if (cursor.at >= cursor.text.length) throw truncated(cursor.source)
  throw notSql(cursor.source)
}

function notSql(source: string) {
  return refusal('input_malformed', `${source} has a row that is not written as SQL writes it.`)
}

function skipSpace(cursor: Cursor): void {
  while (/\s/.test(cursor.text[cursor.at] ?? '')) cursor.at++
}

function truncated(source: string) {
  return refusal('input_truncated', `${source} ends in the middle of a row: it is half-written.`)
}
