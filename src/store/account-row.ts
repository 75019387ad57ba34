import type { Account } from '../accounts/account-store.ts'
import type { AccountRow } from './schema.ts'

/** Accounts as rows, and back. */

export function toRow({ claims, ...account }: Account): AccountRow {
  const { name = null, email = null, email_verified, ...others } = claims
  // The column cannot tell "no" from "nobody knows".
  const more = email_verified === false ? { ...others, email_verified } : others
  return {
    ...account,
    name,
    email,
    emailVerified: email_verified === true,
    claims: Object.keys(more).length === 0 ? null : JSON.stringify(more),
  }
}

/** @param row one that passed its check */
export function toAccount({ name, email, emailVerified, claims, ...account }: AccountRow): Account {
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
