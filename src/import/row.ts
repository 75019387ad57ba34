/** A row in the values of its format: text, numbers, bytes, null. */
export type Row = Readonly<Record<string, unknown>>

/** A table to read from a dump. */
export interface Table {
  readonly name: string
  /** Columns that must be present; for a table without header, all of its columns in order. */
  readonly columns: readonly string[]
  /** Columns that a table with a header may lack. */
  readonly optional?: readonly string[]
}

/** Most columns of a row. */
export const COLUMNS_MAX = 1000

/** True if the names of a header have all columns that the table needs, however they are spelt. */
export function isHeader(names: readonly string[], table: Table): boolean {
  if (names.length > COLUMNS_MAX) return false
  const found = new Set(names.map((name) => columnOf(name, table)))
  return table.columns.every((column) => found.has(column) || table.optional?.includes(column))
}

/**
 * The column that a source spells in its own way: databases fold the case of names, and Kubernetes
 * writes `signingKey` for `signing_key`.
 */
export function columnOf(name: string, { columns }: Table): string {
  if (columns.includes(name)) return name
  return columns.find((column) => folded(column) === folded(name)) ?? name
}

function folded(name: string): string {
  return name.replaceAll('_', '').toLowerCase()
}

/** Most rows of one table; no issuer has more than a thousand keys. */
export const ROWS_MAX = 20_000
