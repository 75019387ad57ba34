import { CsvError, parse } from 'csv-parse/sync'
import { VALUES_MAX } from './input.ts'
import { refusal } from './refusal.ts'
import { columnOf, isHeader, type Row, type Table } from './row.ts'

/** Delimiters of cells. Excel writes semicolons where a comma is the decimal sign. */
const DELIMITERS = [',', '\t', ';', '|']
/** Most characters of a header; millions of cells may follow on its line. */
const HEADER_MAX = 10_000
/** Last line of `sqlcmd` and `psql`, below the rows. */
const FOOTER = /^\(\d+ rows?(?: affected)?\)$/

/**
 * Reads CSV (RFC 4180), also with semicolons, or text with tabs as `bcp -c` and `mysql --batch`
 * write it.
 * @throws ImportRefused `input_malformed`; `input_truncated` inside a quoted cell
 */
export function csvRows(text: string, table: Table, source: string): readonly Row[] {
  const { columns } = table
  const found = headerOf(text, table)
  const [line = ''] = text.split('\n', 1)
  const delimiter = found?.delimiter ?? (line.includes('\t') ? '\t' : ',')
  if (cellsOf(text, delimiter) > VALUES_MAX) {
    throw refusal(
      'input_too_large',
      `${source} has more than ${VALUES_MAX} cells. Dump the table of keys alone.`,
    )
  }
  const [first = [], ...others] = records(text.slice(found?.at ?? 0), delimiter, source)
  if (!found && first.length !== columns.length) {
    throw refusal(
      'input_malformed',
      `${source} has neither a header nor the columns of the table: ${columns.join(', ')}.`,
    )
  }
  const names = found ? first.map((name) => columnOf(name.trim(), table)) : columns
  return (found ? others.filter((cells) => !isDecoration(cells)) : [first, ...others]).map(
    (cells) => Object.fromEntries(names.map((name, at) => [name, cells[at]])),
  )
}

/**
 * True if the text is CSV with a header. The header is tried first, because cells may contain any
 * text, also statements.
 */
export function hasHeader(text: string, table: Table): boolean {
  return headerOf(text, table) !== undefined
}

/** Delimiter and place of a header. Excel may write a line before it that names the delimiter. */
function headerOf(text: string, table: Table): { delimiter: string; at: number } | undefined {
  const at = /^sep=.\r?\n/.exec(text)?.[0].length ?? 0
  const [line = ''] = text.slice(at, at + HEADER_MAX).split('\n', 1)
  const delimiter = DELIMITERS.find((mark) => {
    const names = line.split(mark).map((name) => name.trim().replace(/^"|"$/g, ''))
    return isHeader(names, table)
  })
  return delimiter === undefined ? undefined : { delimiter, at }
}

/** True for the dashes that `sqlcmd` writes below a header, and the count below the rows. */
function isDecoration(cells: readonly string[]): boolean {
  const [first = ''] = cells
  return cells.every((cell) => /^-+$/.test(cell)) || (cells.length === 1 && FOOTER.test(first))
}

/** Upper bound of the number of cells, which bounds the memory for them. */
function cellsOf(text: string, delimiter: string): number {
  let cells = 0
  for (const mark of [delimiter, '\n']) {
    for (
      let at = text.indexOf(mark);
      at !== -1 && cells <= VALUES_MAX;
      at = text.indexOf(mark, at + 1)
    )
      cells++
  }
  return cells
}

function records(text: string, delimiter: string, source: string): string[][] {
  const tabs = delimiter === '\t'
  try {
    const read: string[][] = parse(text, {
      bom: true,
      delimiter,
      // `bcp` and `mysql` quote nothing, and JSON is full of quotes.
      quote: tabs ? null : '"',
      // Detection by the parser would cost a second for each megabyte of a first line.
      record_delimiter: ['\r\n', '\n'],
      relax_column_count: true,
      skip_empty_lines: true,
    })
    return tabs ? read.map((cells) => cells.map(unquoted)) : read
  } catch (error) {
    if (!(error instanceof CsvError)) throw error
    // The parser's message is not repeated, because it quotes the input.
    if (error.code === 'CSV_QUOTE_NOT_CLOSED') {
      throw refusal(
        'input_truncated',
        `${source} ends in the middle of a cell: it is half-written.`,
      )
    }
    throw refusal('input_malformed', `${source} is no CSV.`)
  }
}

/** A cell without the quotes that spreadsheets put around it, which JSON never begins with. */
function unquoted(cell: string): string {
  return /^".*"$/s.test(cell) ? cell.slice(1, -1).replaceAll('""', '"') : cell
}
