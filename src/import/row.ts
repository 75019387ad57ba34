/** A row as its format gives it: text, numbers, bytes, null. */
export type Row = Readonly<Record<string, unknown>>

/** Which table of a dump is read. */
export interface Table {
  readonly name: string
  /** Those that must be there; all of a table without header, in its order. */
  readonly columns: readonly string[]
}

/** Rows of one table; a thousand keys are far more than any issuer has. */
export const ROWS_MAX = 20_000
