import { listed, Refused } from '../errors.ts'
import type { ClientStore } from './client-store.ts'
import type { ClientContext } from './context.ts'
import { FAPI2 } from './fapi2.ts'
import { FAPI2_RULE } from './rules/fapi2.ts'
import { brokenClientRules } from './rules.ts'

/**
 * Checks that all clients meet the profile of the server. Clients that were stored under another
 * configuration are checked nowhere else, and requests of each would fail.
 * @throws Refused with the first client that does not meet the profile
 */
export async function assertProfile(
  clients: Pick<ClientStore, 'list'>,
  context: ClientContext,
): Promise<void> {
  if (context.profile !== FAPI2) return
  for (const { id, metadata } of await clients.list()) {
    const broken = brokenClientRules(metadata, context).filter(({ rule }) => rule === FAPI2_RULE)
    if (broken.length === 0) continue
    throw new Refused(
      'client_unmet_profile',
      { id, profile: context.profile },
      `Client ${id} does not meet the profile of the server, fapi2:\n${listed(broken)}\nChange the client, ` +
        'or set profile to none and profile: fapi2 at each client that must meet it.',
    )
  }
}
