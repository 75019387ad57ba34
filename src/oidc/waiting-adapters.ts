import type { AdapterPayload } from 'oidc-provider'
import type { ArtifactAdapter } from '../artifacts/artifact-store.ts'
import type { ArtifactAdapters } from './outage.ts'
import type { RefreshReuse } from './refresh-reuse.ts'
import type { TokenRequest } from './token-request.ts'

/** Models that requests to the token endpoint consume or issue. */
const MODELS: readonly string[] = ['AuthorizationCode', 'DeviceCode', 'RefreshToken', 'AccessToken']

/**
 * Adapters through which oidc-provider stores and consumes nothing during a request to the token
 * endpoint: they note it in the request.
 * @param current the request that is being answered
 */
export function createWaitingAdapters(
  adapters: ArtifactAdapters,
  current: () => TokenRequest | undefined,
  reuse: RefreshReuse,
): ArtifactAdapters {
  function put(model: string, adapter: ArtifactAdapter): ArtifactAdapter {
    return {
      ...adapter,
      upsert: async (id, payload, expiresIn) => {
        const request = current()
        if (!request) return adapter.upsert(id, payload, expiresIn)
        request.issued.push({ model, id, payload, expiresIn })
      },
      consume: async (id) => {
        const request = current()
        if (!request) return adapter.consume(id)
        request.used = { model, id }
      },
    }
  }

  function putRefreshTokens(adapter: ArtifactAdapter): ArtifactAdapter {
    return {
      ...adapter,
      find: async (id) => {
        const found = await adapter.find(id)
        if (!found) return undefined
        // An ID token from a refresh should not repeat the nonce (OIDC Core 1.0, section 12.2).
        const { nonce: _, ...payload } = found
        const request = current()
        if (payload.consumed === undefined || request?.token !== id || !reuse.isOn) return payload
        return (await reuse.isWithinLeeway(payload, request)) ? unconsumed(payload) : payload
      },
    }
  }

  return (model) => {
    const adapter = adapters(model)
    if (!MODELS.includes(model)) return adapter
    const waiting = put(model, adapter)
    return model === 'RefreshToken' ? putRefreshTokens(waiting) : waiting
  }
}

function unconsumed({ consumed: _, ...payload }: AdapterPayload): AdapterPayload {
  return payload
}
