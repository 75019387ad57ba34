import type { Adapter } from 'oidc-provider'
import type { ArtifactAdapter } from '../artifacts/artifact-store.ts'

/**
 * Seconds that a client which was read from a server is believed. It is asked for with every request; one
 * that was changed or removed is seen by all nodes this much later, or at once where they are told.
 */
export const CLIENT_CACHE = 5

/** Most clients a node keeps in memory. */
export const KNOWN_CLIENTS = 1000

/** Clients are registered through `clients.ts`; oidc-provider only looks them up, with each request. */
export function clientAdapter(find: Adapter['find']): ArtifactAdapter {
  const readOnly = async () => {
    throw new TypeError('clients are not registered through oidc-provider')
  }
  return {
    find,
    findByUid: async () => undefined,
    findByUserCode: async () => undefined,
    upsert: readOnly,
    consume: readOnly,
    consumeOrLeave: readOnly,
    saveOnce: readOnly,
    destroy: readOnly,
    revokeByGrantId: readOnly,
  }
}
