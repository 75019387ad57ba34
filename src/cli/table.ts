import stringWidth from 'string-width'
import { plainCell } from '../values/steering.ts'
import type { Context } from './context.ts'

/** Text between columns. */
const GAP = '  '

/**
 * Formats a table without lines, which is easy to read and to cut with other programs. On a narrow
 * terminal, cells of words are wrapped within their column. The time is proportional to the number
 * of rows, because a listing may have a hundred thousand.
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
  /** Width on a terminal, in characters. */
  readonly width: number
}

/** Narrows the widest columns first, but none below its longest word, so that ids stay whole. */
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
  // A table that still does not fit is left to the terminal, because its own breaks are not copied.
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

/** Formats names and values, one pair in each line, without pairs that have no value. */
export function pairs(values: readonly (readonly [string, string | null | undefined])[]): string {
  const shown = values.filter(([, value]) => value !== null && value !== undefined)
  const width = Math.max(...shown.map(([name]) => name.length))
  return shown.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n')
}
