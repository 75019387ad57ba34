import type { KeyObject } from 'node:crypto'
import { createHmacSha256, isSameText } from '../hmac.ts'

/** A row with the MAC of all its other fields. */
export type Authenticated<T> = T & { readonly mac: string }

/** Characters of a MAC: HMAC-SHA-256 in base64url. */
export const MAC_LENGTH = 43

/**
 * Authenticates the rows of a table, so that write access to the database is not enough to make or
 * change one.
 */
export interface RowMac<T> {
  sign(row: T): Authenticated<T>
  /** @returns the row without its MAC; undefined if there is no row or it fails the check */
  check(row: Authenticated<T> | undefined): T | undefined
}

export interface RowMacOptions<T> {
  /** Kind of row; rows of different kinds have different MACs. */
  readonly kind: string
  readonly key: KeyObject
  /** All fields except the MAC. A field that is left out is not authenticated. */
  readonly fields: readonly (keyof T & string)[]
  /**
   * Fields added by later versions. They are authenticated if they have a value, so that rows from
   * before, and rows without a value, keep their MAC.
   */
  readonly later?: readonly (keyof T & string)[]
  /** Called for each row that fails the check. */
  readonly onForgery: (row: T) => void
}

export function createRowMac<T extends object>(options: RowMacOptions<T>): RowMac<T> {
  const { kind, key, fields, later = [], onForgery } = options
  const hmac = createHmacSha256(key)
  const macOf = (row: T) => {
    const values: unknown[] = [kind, ...fields.map((field) => row[field])]
    for (const field of later) if (row[field] !== null) values.push(field, row[field])
    return hmac(JSON.stringify(values))
  }
  return {
    sign: (row) => ({ ...row, mac: macOf(row) }),
    check: (stored) => {
      if (!stored) return undefined
      const { mac, ...rest } = stored
      // Removing `mac` leaves a T, which the compiler does not infer.
      const row = rest as unknown as T
      if (isSameText(mac, macOf(row))) return row
      onForgery(row)
      return undefined
    },
  }
}
