import { CsvError, parse } from 'csv-parse/sync'
import { VALUES_MAX } from './input.ts'
import { refusal } from './refusal.ts'
import type { Row, Table } from './row.ts'

/**
 * Reads CSV (RFC 4180), or text with tabs as `bcp -c` and `mysql --batch` write it.
 * @throws ImportRefused `input_malformed`; `input_truncated` inside a quoted cell
 */
export function csvRows(text: string, { columns }: Table, source: string): readonly Row[] {
  const [line = ''] = text.split('\n', 1)
  const tabs = line.includes('\t')
  if (cellsOf(text, tabs ? '\t' : ',') > VALUES_MAX) {
    throw refusal(
      'input_too_large',
      `${source} has more than ${VALUES_MAX} cells. Dump the table of keys alone.`,
    )
  }
  const [first = [], ...others] = records(text, tabs, source)
  const header = columns.every((column) => first.includes(column))
  if (!header && first.length !== columns.length) {
    throw refusal(
      'input_malformed',
      `${source} has neither a header nor the columns of the table: ${columns.join(', ')}.`,
    )
  }
  const names = header ? first : columns
  return (header ? others : [first, ...others]).map((cells) =>
    Object.fromEntries(names.map((name, at) => [name, cells[at]])),
  )
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

function records(text: string, tabs: boolean, source: string): string[][] {
  try {
    return parse(text, {
      bom: true,
      delimiter: tabs ? '\t' : ',',
      // `bcp` and `mysql` quote nothing, and JSON is full of quotes.
      quote: tabs ? null : '"',
      // Detection by the parser would cost a second for each megabyte of a first line.
      record_delimiter: ['\r\n', '\n'],
      relax_column_count: true,
      skip_empty_lines: true,
    })
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
