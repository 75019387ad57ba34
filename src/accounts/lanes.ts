import { networksOf } from '../values/address.ts'
import type { Account } from './account-store.ts'

/** Lanes in which sign-ins wait at the gate (`gate.ts`) while many passwords are checked. */

/** The lane of an account, for people who proved its password here or in this browser before. */
export function ownLane(account: Pick<Account, 'id'>): readonly string[] {
  return ['known', account.id]
}

/** The lane for everybody else, by network, so that a crowd in one network delays only itself. */
export function addressLane(address: string): readonly string[] {
  const { network, site, address: link } = networksOf(address)
  return ['unknown', network, site, link]
}
