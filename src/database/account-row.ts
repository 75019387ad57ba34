import type { Account } from '../accounts/account-store.ts'
import type { NameKeys } from './account-names.ts'
import type { AccountRow } from './tables.ts'

/** Accounts as rows, and back. */

/** The row of an account without name keys, which only a new account needs (`account-names.ts`). */
export function toRow({ claims, ...account }: Account): Omit<AccountRow, keyof NameKeys> {
  const { name = null, email = null, email_verified, ...others } = claims
  // The column cannot tell "not verified" from "unknown".
  const more = email_verified === false ? { ...others, email_verified } : others
  return {
    ...account,
    name,
    email,
    emailVerified: email_verified === true,
    claims: Object.keys(more).length === 0 ? null : JSON.stringify(more),
  }
}

/** @param row that passed its check */
export function toAccount(row: AccountRow): Account {
  const { name, email, emailVerified, claims, nameKey: _, skeletonKey: __, ...account } = row
  return {
    ...account,
    claims: {
      ...(name === null ? {} : { name }),
      ...(email === null ? {} : { email }),
      ...(emailVerified ? { email_verified: true } : {}),
      ...(claims === null ? {} : JSON.parse(claims)),
    },
  }
}
