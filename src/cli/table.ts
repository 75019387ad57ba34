import Table from 'cli-table3'
import type { Context } from './context.ts'

const NONE = [
  ...['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left'],
  ...['bottom-right', 'left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid'],
]

/** Columns without lines between them: easy to read, and to cut with other programs. */
export function table(
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[],
  { colors }: Pick<Context, 'colors'>,
): string {
  const lines = new Table({
    head: [...head],
    chars: { ...Object.fromEntries(NONE.map((name) => [name, ''])), middle: '  ' },
    style: { 'padding-left': 0, 'padding-right': 0, head: colors ? ['bold'] : [], border: [] },
  })
  // What people and clients call themselves must not steer the terminal.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  const plain = (cell: string | number) => String(cell).replace(/[\x00-\x1f\x7f-\x9f]/g, '?')
  lines.push(...rows.map((row) => row.map(plain)))
  return lines.toString().replaceAll(/ +$/gm, '')
}

/** Names and values, one pair to a line; what has no value is left out. */
export function pairs(values: readonly (readonly [string, string | null | undefined])[]): string {
  const shown = values.filter(([, value]) => value !== null && value !== undefined)
  const width = Math.max(...shown.map(([name]) => name.length))
  return shown.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n')
}
