/** A row in the values of its format: text, numbers, bytes, null. */
export type Row = Readonly<Record<string, unknown>>

/** A table to read from a dump. */
export interface Table {
  readonly name: string
  /** Columns that must be present; for a table without header, all of its columns in order. */
  readonly columns: readonly string[]
}

/** Most rows of one table; no issuer has more than a thousand keys. */
export const ROWS_MAX = 20_000
