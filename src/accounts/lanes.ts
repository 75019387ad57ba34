import { networksOf } from '../values/address.ts'
import type { Account } from './account-store.ts'

/** Who waits for whom at the gate (`gate.ts`) where many passwords are checked at once. */

/** Who proved to be this account, here or in this browser before, waits for nobody but such people. */
export function ownLane(account: Pick<Account, 'id'>): readonly string[] {
  return ['known', account.id]
}

/** Everybody else takes turns by where they come from, so that a crowd from one network waits for itself. */
export function strangersLane(address: string): readonly string[] {
  const { network, site, address: link } = networksOf(address)
  return ['stranger', network, site, link]
}
