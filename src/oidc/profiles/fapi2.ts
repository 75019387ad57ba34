import { decodeJwt } from 'jose'
import { type Configuration, errors } from 'oidc-provider'
import {
  FAPI2,
  FAPI2_ALGORITHMS,
  FAPI2_AUTHENTICATION,
  FAPI2_CLOCKS,
  FAPI2_IMPOSED,
} from '../../clients/fapi2.ts'
import { ownProperties } from '../../clients/properties.ts'
import type { Clock } from '../../clock.ts'
import type { Config } from '../../config/schema.ts'

type ClientMetadata = Parameters<
  NonNullable<NonNullable<Configuration['extraClientMetadata']>['validator']>
>[3]

/**
 * Holds clients to the FAPI 2.0 Security Profile: those that ask for it, or all. oidc-provider
 * itself enforces PKCE, a redirect URI in each request, and `iss` in each response.
 */
export interface Fapi2 {
  /** @param client of oidc-provider, or its metadata */
  holds(client: object): boolean
  /** Part of oidc-provider's configuration; no other room sets these fields. */
  readonly settings: Pick<Configuration, 'assertJwtClientAuthClaimsAndHeader' | 'clientAuthMethods'>
  readonly features: Pick<
    NonNullable<Configuration['features']>,
    'fapi' | 'pushedAuthorizationRequests'
  >
  /** Limits a lifetime, in seconds, to `longest` for clients that are held to the profile. */
  atMost(
    longest: number,
    lifetime: number,
  ): (ctx: unknown, token: unknown, client: object) => number
  /**
   * Sets what the profile demands in a client's metadata.
   * @throws InvalidClientMetadata if the metadata contradict the profile
   */
  impose(metadata: ClientMetadata): void
}

export function createFapi2(
  { profile, tokens }: Pick<Config, 'profile' | 'tokens'>,
  clock: Pick<Clock, 'now'>,
): Fapi2 {
  const isOfServer = profile === FAPI2
  const ahead = Math.min(tokens.clockTolerance, FAPI2_CLOCKS.most)
  const holds = (client: object) => isHeld(client, profile)
  return {
    holds,
    settings: {
      // Section 5.3.2.1: only the issuer, not even a list that contains it, because an assertion
      // that was made for another server must not be valid here.
      assertJwtClientAuthClaimsAndHeader: async (ctx, claims, { alg }, client) => {
        if (!holds(client)) return
        if (claims.aud !== ctx.oidc.issuer) {
          throw new errors.InvalidClientAuth('aud must be the issuer identifier, as a string')
        }
        if (!isAllowed(alg)) {
          throw new errors.InvalidClientAuth(`alg must be one of ${FAPI2_ALGORITHMS.join(', ')}`)
        }
        // The same section limits how far in the future any JWT of a client may be. oidc-provider
        // compares `iat` of no assertion, and bears 5 minutes in a DPoP proof.
        const latest = clock.now() + ahead
        const problem = `iat and nbf must be at most ${ahead} s in the future`
        if (isAfter(claims, latest)) throw new errors.InvalidClientAuth(problem)
        if (isAfter(claimsOf(ctx.get('DPoP')), latest)) {
          throw new errors.InvalidDpopProof(`DPoP proof: ${problem}`)
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
    },
  }
}

/** @param client of oidc-provider, or its metadata */
export function isHeld(client: object, profile: Config['profile']): boolean {
  return profile === FAPI2 || ownProperties(client).profile === FAPI2
}

/**
 * Lets the signed answers for which a client names no algorithm follow its ID tokens.
 * oidc-provider's default for them (`clientDefaults`) is one for all clients, and whoever verifies
 * ID tokens by an algorithm of the profile need not know another.
 * @param client of oidc-provider
 * @param metadata as the client is stored, without defaults
 */
export function signAnswersAsIdTokens(
  client: { readonly idTokenSignedResponseAlg?: string | undefined },
  metadata: Readonly<Record<string, unknown>>,
): void {
  const { idTokenSignedResponseAlg: algorithm } = client
  if (!isAllowed(metadata.authorization_signed_response_alg)) {
    Object.assign(client, { authorizationSignedResponseAlg: algorithm })
  }
  if (!isAllowed(metadata.introspection_signed_response_alg)) {
    Object.assign(client, { introspectionSignedResponseAlg: algorithm })
  }
}

/** @param latest seconds since the epoch */
function isAfter({ iat, nbf }: Readonly<Record<string, unknown>>, latest: number): boolean {
  return [iat, nbf].some((at) => typeof at === 'number' && at > latest)
}

/** The claims of a proof that oidc-provider has not verified yet; none if it cannot be read. */
function claimsOf(proof: string): Readonly<Record<string, unknown>> {
  try {
    return decodeJwt(proof)
  } catch {
    return {}
  }
}

function isAllowed(algorithm: unknown): boolean {
  return typeof algorithm === 'string' && FAPI2_ALGORITHMS.includes(algorithm)
}
