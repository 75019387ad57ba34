import stringWidth from 'string-width'
import type { Context } from './context.ts'
import { plainCell } from './terminal.ts'

/** Stands between columns. */
const GAP = '  '

/**
 * Columns without lines between them: easy to read, and to cut with other programs. On a terminal that
 * is too narrow, columns of words go on in the next line below themselves. Takes time in proportion to
 * the rows, as a listing may have a hundred thousand.
 */
export function table(
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[],
  { colors, columns }: Pick<Context, 'colors' | 'columns'>,
): string {
  const cells = [head, ...rows].map((row) => row.map((cell) => measured(String(cell))))
  const most = (column: number, of: (cell: Cell) => number) =>
    cells.reduce((size, row) => Math.max(size, row[column] ? of(row[column]) : 0), 0)
  const wanted = head.map((_, column) => most(column, ({ width }) => width))
  const widths =
    columns === undefined
      ? wanted
      : narrowed(wanted, { columns, least: (column) => most(column, longestWord) })
  const [first = [], ...others] = cells.map((row) => linesOf(row, widths))
  return [
    ...first.map((line) => (colors ? `\x1b[1m${line}\x1b[22m` : line)),
    ...others.flat(),
  ].join('\n')
}

interface Cell {
  readonly text: string
  /** Characters of a terminal. */
  readonly width: number
}

/** The widest columns give way first, none below its longest word: ids stay whole. */
function narrowed(
  wanted: readonly number[],
  { columns, least }: { readonly columns: number; readonly least: (column: number) => number },
): readonly number[] {
  const widths = [...wanted]
  const total = () => widths.reduce((sum, width) => sum + width + GAP.length, -GAP.length)
  const widestFirst = [...wanted.keys()].sort((a, b) => (wanted[b] ?? 0) - (wanted[a] ?? 0))
  for (const column of widestFirst) {
    const excess = total() - columns
    if (excess <= 0) break
    const width = widths[column] ?? 0
    widths[column] = Math.max(least(column), width - excess)
  }
  // What does not fit all the same is left to the terminal, whose own breaks can be copied.
  return total() > columns ? wanted : widths
}

function longestWord({ text }: Cell): number {
  return Math.max(...text.split(' ').map((word) => stringWidth(word)))
}

function linesOf(row: readonly Cell[], widths: readonly number[]): readonly string[] {
  const parts = row.map((cell, column) => wrapped(cell, widths[column] ?? 0))
  const height = Math.max(...parts.map(({ length }) => length))
  return Array.from({ length: height }, (_, line) =>
    parts
      .map((part, column) => {
        const { text, width } = part[line] ?? { text: '', width: 0 }
        return text + ' '.repeat((widths[column] ?? 0) - width)
      })
      .join(GAP)
      .trimEnd(),
  )
}

function wrapped(cell: Cell, most: number): readonly Cell[] {
  if (cell.width <= most) return [cell]
  const lines: Cell[] = []
  for (const word of cell.text.split(' ')) {
    const last = lines.at(-1)
    const width = stringWidth(word)
    if (last && last.width + 1 + width <= most) {
      lines[lines.length - 1] = { text: `${last.text} ${word}`, width: last.width + 1 + width }
    } else lines.push({ text: word, width })
  }
  return lines
}

function measured(cell: string): Cell {
  const text = plainCell(cell)
  return { text, width: stringWidth(text) }
}

/** Names and values, one pair to a line; what has no value is left out. */
export function pairs(values: readonly (readonly [string, string | null | undefined])[]): string {
  const shown = values.filter(([, value]) => value !== null && value !== undefined)
  const width = Math.max(...shown.map(([name]) => name.length))
  return shown.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n')
}
