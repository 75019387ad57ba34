import { type Configuration, errors, type KoaContextWithOIDC } from 'oidc-provider'
import { PREVIOUS_SECRETS } from '../clients/previous-secrets.ts'
import { OWN_PROPERTIES } from '../clients/properties.ts'
import { type Clock, systemClock } from '../clock.ts'
import { mayCallPrivateNetworks } from '../config/client-context.ts'
import type { IssuerConfig } from '../config/schema.ts'
import { passwordContext } from './authentication-context.ts'
import { clientBasedCORS } from './cors.ts'
import type { LeftOut } from './left-out.ts'
import { lifetimes } from './lifetimes.ts'
import { createFapi2 } from './profiles/fapi2.ts'
import { createRefreshTokenRotation } from './refresh-rotation.ts'
import { createResourceRequests } from './resource-requests.ts'
import { claimsForUserinfo } from './userinfo-tokens.ts'

/**
 * oidc-provider's configuration, except for what depends on keys or people.
 * @param onLeftOut called with each scope that a client asked for and did not get, without an error
 */
export function providerSettings(
  config: IssuerConfig,
  onLeftOut: (left: LeftOut) => void = () => {},
  clock: Pick<Clock, 'now'> = systemClock,
): Configuration {
  const fapi2 = createFapi2(config, clock)
  const requests = createResourceRequests(config, onLeftOut)
  const rotates = createRefreshTokenRotation(config.tokens.refreshTokenRotation, fapi2)
  return {
    ...fapi2.settings,
    acrValues: [passwordContext(config.issuer)],
    // `amr` for clients that ask for it (claims); oidc-provider adds the other protocol claims
    // itself.
    claims: { ...config.claims, openid: ['sub'], amr: null } as NonNullable<
      Configuration['claims']
    >,
    clientBasedCORS,
    // The claims of an ID token are decided per client in `account.ts`.
    conformIdTokenClaims: false,
    extraClientMetadata: {
      properties: [...OWN_PROPERTIES, PREVIOUS_SECRETS],
      validator: (_ctx, property, _value, metadata) => {
        // oidc-provider calls the validator for each property, even if the client lacks it.
        if (property === 'profile') fapi2.impose(metadata)
      },
    },
    extraParams: requests.extraParams,
    extraTokenClaims: (ctx, token) => {
      requests.assertAudience(ctx, token)
      return claimsForUserinfo(ctx, token)
    },
    clockTolerance: config.tokens.clockTolerance,
    formats: { customizers: { jwt: customizeJwt(config.resources) } },
    fetchResponseBodyLimits: { jwks_uri: CLIENT_JWKS_BYTES },
    ...(mayCallPrivateNetworks(config) ? { fetch: fetchAnywhere } : {}),
    features: {
      ...fapi2.features,
      backchannelLogout: { enabled: config.outgoing.backchannelLogout },
      claimsParameter: { enabled: true },
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      devInteractions: { enabled: false },
      dPoP: { enabled: true },
      jwtIntrospection: { enabled: true },
      jwtResponseModes: { enabled: config.tokens.signedAuthorizationResponses },
      jwtUserinfo: { enabled: true },
      introspection: { enabled: true, allowedPolicy: mayIntrospect },
      resourceIndicators: requests.resourceIndicators,
      revocation: { enabled: true, allowedPolicy: mayRevoke },
      rpInitiatedLogout: { enabled: true },
    },
    responseTypes: ['code'],
    rotateRefreshToken: (ctx) => {
      requests.judgeRefresh(ctx)
      return rotates(ctx)
    },
    routes: { userinfo: '/userinfo' },
    ttl: lifetimes(config, fapi2),
  }
}

/** Largest JWKS of a client in bytes, for private_key_jwt. */
const CLIENT_JWKS_BYTES = 256 * 1024

type CustomizeJwt = NonNullable<
  NonNullable<NonNullable<Configuration['formats']>['customizers']>['jwt']
>

/**
 * Adds the grant to JWT access tokens, which have no record, so that introspection can tell when
 * the grant has ended. Keeps the `typ` of RFC 9068, unless verifiers of the API accept only JWT.
 */
function customizeJwt(resources: IssuerConfig['resources']): CustomizeJwt {
  const types = new Map(resources.map(({ identifier, typ }) => [identifier, typ]))
  return (_ctx, token, jwt) => {
    if ('grantId' in token && token.grantId !== undefined) jwt.payload.grant_id = token.grantId
    const typ = types.get(token.resourceServer?.identifier() ?? '')
    if (typ === 'JWT') jwt.header = { ...jwt.header, typ }
  }
}

/**
 * Confidential clients are resource servers and may ask about any token; public ones about their
 * own.
 */
export async function mayIntrospect(
  { oidc: { provider } }: KoaContextWithOIDC,
  client: { clientId: string; clientAuthMethod?: string | undefined },
  token: { clientId?: string | undefined },
): Promise<boolean> {
  if (token.clientId === client.clientId) return true
  if (client.clientAuthMethod === 'none') return false
  // oidc-provider fails if the token's client has been removed.
  return token.clientId === undefined || (await provider.Client.find(token.clientId)) !== undefined
}

/**
 * Lets clients revoke their own tokens. To a public client, tokens of others do not exist (RFC
 * 7009, section 2.1).
 */
export async function mayRevoke(
  _ctx: KoaContextWithOIDC,
  client: { clientId: string; clientAuthMethod?: string | undefined },
  token: { clientId?: string | undefined },
): Promise<boolean> {
  if (token.clientId === client.clientId) return true
  if (client.clientAuthMethod === 'none') return false
  throw new errors.InvalidRequest('client is not authorized to revoke the presented token')
}

/** `fetch` without the dispatcher by which oidc-provider refuses to call special-use addresses. */
const fetchAnywhere: NonNullable<Configuration['fetch']> = (url, options) => {
  // `dispatcher` is an option of Node's fetch that the DOM type lacks.
  const { dispatcher: _, ...rest } = options as RequestInit & { dispatcher?: unknown }
  return globalThis.fetch(url, rest)
}
