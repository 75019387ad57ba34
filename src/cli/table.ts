import stringWidth from 'string-width'
import type { Context } from './context.ts'
import { plainCell } from './terminal.ts'

/** Stands between columns. */
const GAP = '  '

/**
 * Columns without lines between them: easy to read, and to cut with other programs. Takes time in
 * proportion to the rows, as a listing may have a hundred thousand.
 */
export function table(
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[],
  { colors }: Pick<Context, 'colors'>,
): string {
  const cells = [head, ...rows].map((row) => row.map((cell) => measured(String(cell))))
  const widths = head.map((_, column) =>
    cells.reduce((most, row) => Math.max(most, row[column]?.width ?? 0), 0),
  )
  const lines = cells.map((row) =>
    row
      .map(({ text, width }, column) => text + ' '.repeat((widths[column] ?? 0) - width))
      .join(GAP)
      .trimEnd(),
  )
  const [first = '', ...others] = lines
  return [colors ? `\x1b[1m${first}\x1b[22m` : first, ...others].join('\n')
}

function measured(cell: string) {
  const text = plainCell(cell)
  return { text, width: stringWidth(text) }
}

/** Names and values, one pair to a line; what has no value is left out. */
export function pairs(values: readonly (readonly [string, string | null | undefined])[]): string {
  const shown = values.filter(([, value]) => value !== null && value !== undefined)
  const width = Math.max(...shown.map(([name]) => name.length))
  return shown.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n')
}
