import type { Adapter } from 'oidc-provider'
import type { ArtifactAdapter } from '../artifacts/artifact-store.ts'

/**
 * Seconds that a node caches a client, because every request reads it. Other nodes see a changed or
 * removed client this much later, or at once if messages between nodes arrive.
 */
export const CLIENT_CACHE = 5

/** Most clients that a node caches. */
export const KNOWN_CLIENTS = 1000

/** Adapter with which oidc-provider only looks clients up; `operate.ts` registers them. */
export function clientAdapter(find: Adapter['find']): ArtifactAdapter {
  const readOnly = async () => {
    throw new TypeError('oidc-provider may only look clients up, not change them')
  }
  return {
    find,
    findByUid: async () => undefined,
    findByUserCode: async () => undefined,
    upsert: readOnly,
    consume: readOnly,
    consumeAgain: readOnly,
    destroy: readOnly,
    revokeByGrantId: readOnly,
  }
}
