import { type Configuration, errors } from 'oidc-provider'
import {
  FAPI2,
  FAPI2_ALGORITHMS,
  FAPI2_AUTHENTICATION,
  FAPI2_IMPOSED,
} from '../../clients/fapi2.ts'
import { ownProperties } from '../../clients/properties.ts'
import type { Config } from '../../config/schema.ts'

type ClientMetadata = Parameters<
  NonNullable<NonNullable<Configuration['extraClientMetadata']>['validator']>
>[3]

/**
 * Holds clients to the FAPI 2.0 Security Profile: those that ask for it, or all. What oidc-provider asks
 * of such a client itself is PKCE, a redirect URI in each request, and `iss` in each response.
 */
export interface Fapi2 {
  /** @param client of oidc-provider, or its metadata */
  holds(client: object): boolean
  /** oidc-provider's configuration, where nothing of what it has is configured otherwise. */
  readonly settings: Pick<Configuration, 'assertJwtClientAuthClaimsAndHeader' | 'clientAuthMethods'>
  readonly features: Pick<
    NonNullable<Configuration['features']>,
    'fapi' | 'pushedAuthorizationRequests'
  >
  /** A lifetime, in seconds, and the longest for clients that are held to the profile. */
  atMost(
    longest: number,
    lifetime: number,
  ): (ctx: unknown, token: unknown, client: object) => number
  /** Makes a client what the profile says, before it is used. @throws where it can not be that */
  impose(metadata: ClientMetadata): void
}

export function createFapi2({ profile }: Pick<Config, 'profile'>): Fapi2 {
  const isOfServer = profile === FAPI2
  const holds = (client: object) => isOfServer || ownProperties(client).profile === FAPI2
  return {
    holds,
    settings: {
      // Section 5.3.2.1: the issuer and nothing else, not even a list with it, lest an assertion that was
      // made for another server be good here.
      assertJwtClientAuthClaimsAndHeader: async (ctx, { aud }, { alg }, client) => {
        if (!holds(client)) return
        if (aud !== ctx.oidc.issuer) {
          throw new errors.InvalidClientAuth('aud must be the issuer identifier, as a string')
        }
        if (!isAllowed(alg)) {
          throw new errors.InvalidClientAuth(`alg must be one of ${FAPI2_ALGORITHMS.join(', ')}`)
        }
      },
      ...(isOfServer ? { clientAuthMethods: [FAPI2_AUTHENTICATION] } : {}),
    },
    features: {
      pushedAuthorizationRequests: {
        enabled: true,
        requirePushedAuthorizationRequests: isOfServer,
      },
      fapi: {
        enabled: true,
        profile: (_ctx, client) => (client && holds(client) ? '2.0' : undefined),
      },
    },
    atMost: (longest, lifetime) => (_ctx, _token, client) =>
      holds(client) ? Math.min(longest, lifetime) : lifetime,
    impose: (metadata) => {
      if (!holds(metadata)) return
      const { token_endpoint_auth_method: method, id_token_signed_response_alg: algorithm } =
        metadata
      if (method !== FAPI2_AUTHENTICATION || !isAllowed(algorithm)) {
        throw new errors.InvalidClientMetadata('the client does not meet its profile, fapi2')
      }
      Object.assign(metadata, FAPI2_IMPOSED)
      // RS256 where the client did not say.
      for (const answer of ['authorization', 'introspection'] as const) {
        const name = `${answer}_signed_response_alg` as const
        if (!isAllowed(metadata[name])) Object.assign(metadata, { [name]: algorithm })
      }
    },
  }
}

function isAllowed(algorithm: unknown): boolean {
  return typeof algorithm === 'string' && FAPI2_ALGORITHMS.includes(algorithm)
}
