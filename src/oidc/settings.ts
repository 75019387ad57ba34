import { type Configuration, errors, type KoaContextWithOIDC } from 'oidc-provider'
import { PREVIOUS_SECRETS } from '../clients/previous-secrets.ts'
import { OWN_PROPERTIES } from '../clients/properties.ts'
import { mayCallPrivateNetworks } from '../config/client-context.ts'
import type { IssuerConfig } from '../config/schema.ts'
import { passwordContext } from './authentication-context.ts'
import { clientBasedCORS } from './cors.ts'
import { lifetimes } from './lifetimes.ts'
import { createFapi2 } from './profiles/fapi2.ts'
import { createRefreshTokenRotation } from './refresh-rotation.ts'
import { createResourceRequests, type LeftOut } from './resource-requests.ts'
import { claimsForUserinfo } from './userinfo-tokens.ts'

/**
 * oidc-provider's configuration, as far as neither keys nor people have a part in it.
 * @param onLeftOut told of what a client asked for and did not get, without an error
 */
export function providerSettings(
  config: IssuerConfig,
  onLeftOut: (left: LeftOut) => void = () => {},
): Configuration {
  const fapi2 = createFapi2(config)
  const requests = createResourceRequests(config, onLeftOut)
  const rotates = createRefreshTokenRotation(config.tokens.refreshTokenRotation, fapi2)
  return {
    ...fapi2.settings,
    acrValues: [passwordContext(config.issuer)],
    // `amr` for clients that ask for it (claims); oidc-provider knows the others of the protocol.
    claims: { ...config.claims, openid: ['sub'], amr: null } as NonNullable<
      Configuration['claims']
    >,
    clientBasedCORS,
    // Which claims an ID token has is decided with the account (`account.ts`), for each client.
    conformIdTokenClaims: false,
    extraClientMetadata: {
      properties: [...OWN_PROPERTIES, PREVIOUS_SECRETS],
      validator: (_ctx, property, _value, metadata) => {
        // Called for each property, whether a client has it or not.
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

/** Bytes of a client's own JWKS, for private_key_jwt. */
const CLIENT_JWKS_BYTES = 256 * 1024

type CustomizeJwt = NonNullable<
  NonNullable<NonNullable<Configuration['formats']>['customizers']>['jwt']
>

/**
 * An access token that nobody keeps a record of names its grant, so that it can be told when that ends.
 * Its `typ` is that of RFC 9068, unless verifiers of the API know no other than JWT.
 */
function customizeJwt(resources: IssuerConfig['resources']): CustomizeJwt {
  const types = new Map(resources.map(({ identifier, typ }) => [identifier, typ]))
  return (_ctx, token, jwt) => {
    if ('grantId' in token && token.grantId !== undefined) jwt.payload.grant_id = token.grantId
    const typ = types.get(token.resourceServer?.identifier() ?? '')
    if (typ === 'JWT') jwt.header = { ...jwt.header, typ }
  }
}

/** Confidential clients are resource servers and may ask about any token, public ones about theirs. */
export async function mayIntrospect(
  { oidc: { provider } }: KoaContextWithOIDC,
  client: { clientId: string; clientAuthMethod?: string | undefined },
  token: { clientId?: string | undefined },
): Promise<boolean> {
  if (token.clientId === client.clientId) return true
  if (client.clientAuthMethod === 'none') return false
  // The client of a token may have been removed, which oidc-provider does not expect.
  return token.clientId === undefined || (await provider.Client.find(token.clientId)) !== undefined
}

/** A client revokes its own tokens. RFC 7009, section 2.1: to a public client, others do not exist. */
export async function mayRevoke(
  _ctx: KoaContextWithOIDC,
  client: { clientId: string; clientAuthMethod?: string | undefined },
  token: { clientId?: string | undefined },
): Promise<boolean> {
  if (token.clientId === client.clientId) return true
  if (client.clientAuthMethod === 'none') return false
  throw new errors.InvalidRequest('client is not authorized to revoke the presented token')
}

/** oidc-provider itself refuses to call special-use addresses. */
const fetchAnywhere: NonNullable<Configuration['fetch']> = (url, options) => {
  // Node's own option of fetch, which the DOM type does not have.
  const { dispatcher: _, ...rest } = options as RequestInit & { dispatcher?: unknown }
  return globalThis.fetch(url, rest)
}
