import {
  type Configuration,
  errors,
  type KoaContextWithOIDC,
  type ResourceServer,
} from 'oidc-provider'
import { mayCallPrivateNetworks } from '../clients/context.ts'
import { FAPI2_CODE } from '../clients/fapi2.ts'
import { OWN_PROPERTIES } from '../clients/properties.ts'
import type { Config, ResourceSettings } from '../config/schema.ts'
import { passwordContext } from './authentication-context.ts'
import { clientBasedCORS } from './cors.ts'
import { createFapi2 } from './profiles/fapi2.ts'

/** oidc-provider's configuration, as far as neither keys nor people have a part in it. */
export function providerSettings(config: Config): Configuration {
  const { tokens } = config
  const fapi2 = createFapi2(config)
  return {
    ...fapi2.settings,
    acrValues: [passwordContext(config.issuer)],
    // `amr` for clients that ask for it (claims); oidc-provider knows the others of the protocol.
    claims: { ...config.claims, openid: ['sub'], amr: null } as NonNullable<
      Configuration['claims']
    >,
    clientBasedCORS,
    extraClientMetadata: {
      properties: [...OWN_PROPERTIES],
      validator: (_ctx, property, _value, metadata) => {
        // Called for each property, whether a client has it or not.
        if (property === 'profile') fapi2.impose(metadata)
      },
    },
    clockTolerance: config.rotation.clockSkew,
    formats: { customizers: { jwt: nameGrant } },
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
      jwtResponseModes: { enabled: true },
      jwtUserinfo: { enabled: true },
      introspection: { enabled: true, allowedPolicy: mayIntrospect },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: resourceServers(config.resources, tokens.accessToken),
      },
      revocation: { enabled: true, allowedPolicy: mayRevoke },
      rpInitiatedLogout: { enabled: true },
    },
    responseTypes: ['code'],
    // Reuse of a rotated token revokes the grant (RFC 9700, section 4.14.2).
    rotateRefreshToken: ({ oidc: { client } }) => !client || !fapi2.holds(client),
    routes: { userinfo: '/userinfo' },
    // The types want numbers or functions of exactly their own arguments.
    ttl: {
      AccessToken: (_ctx, token) => token.resourceServer?.accessTokenTTL ?? tokens.accessToken,
      AuthorizationCode: fapi2.atMost(FAPI2_CODE, tokens.authorizationCode),
      ClientCredentials: (_ctx, token) =>
        token.resourceServer?.accessTokenTTL ?? tokens.clientCredentials,
      DeviceCode: tokens.deviceCode,
      Grant: tokens.grant,
      IdToken: tokens.idToken,
      Interaction: tokens.interaction,
      PushedAuthorizationRequest: tokens.pushedAuthorizationRequest,
      RefreshToken: refreshTokenLifetime(tokens.refreshToken),
      Session: sessionLifetime(tokens),
    } as NonNullable<Configuration['ttl']>,
  }
}

/** Bytes of a client's own JWKS, for private_key_jwt. */
const CLIENT_JWKS_BYTES = 256 * 1024

/** An access token that nobody keeps a record of names its grant, so that it can be told when that ends. */
const nameGrant: NonNullable<
  NonNullable<NonNullable<Configuration['formats']>['customizers']>['jwt']
> = (_ctx, token, { payload }) => {
  if ('grantId' in token && token.grantId !== undefined) payload.grant_id = token.grantId
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

/** RFC 8707: the APIs of the configuration, each with its format, algorithm and lifetime. */
function resourceServers(resources: readonly ResourceSettings[], defaultLifetime: number) {
  const known = new Map<string, ResourceServer>(
    resources.map((resource) => [
      resource.identifier,
      {
        scope: resource.scopes.join(' '),
        audience: resource.audience ?? resource.identifier,
        accessTokenTTL: resource.tokenLifetime ?? defaultLifetime,
        accessTokenFormat: resource.tokenFormat,
        // The types list the algorithms; the configuration has checked that a ring has this one.
        jwt: { sign: { alg: resource.algorithm } },
      } as ResourceServer,
    ]),
  )
  return (_ctx: KoaContextWithOIDC, identifier: string): ResourceServer => {
    const resource = known.get(identifier)
    if (!resource) throw new errors.InvalidTarget('resource indicator is not known')
    return resource
  }
}

/**
 * Each rotation starts a new lifetime, except for a public client in a browser: what can be stolen
 * there must not live for ever (OAuth 2.0 for Browser-Based Applications).
 */
function refreshTokenLifetime(lifetime: number) {
  return (
    ctx: KoaContextWithOIDC,
    token: { isSenderConstrained(): boolean },
    client: { applicationType?: string | undefined; clientAuthMethod?: string | undefined },
  ): number => {
    const rotated = ctx?.oidc?.entities.RotatedRefreshToken
    const isBrowserApp = client.applicationType === 'web' && client.clientAuthMethod === 'none'
    return rotated && isBrowserApp && !token.isSenderConstrained() ? rotated.remainingTTL : lifetime
  }
}

/**
 * A session without a person holds a form's secret for as long as a sign-in may take. Anybody can make
 * any number of them (`/session/end`, `/device`, `/auth`), so they do not live as those of people do.
 */
function sessionLifetime({ session, interaction }: Config['tokens']) {
  const ofNobody = Math.min(session, interaction)
  return (_ctx: KoaContextWithOIDC, { accountId }: { accountId?: string | undefined }): number =>
    accountId === undefined ? ofNobody : session
}

/** oidc-provider itself refuses to call special-use addresses. */
const fetchAnywhere: NonNullable<Configuration['fetch']> = (url, options) => {
  // Node's own option of fetch, which the DOM type does not have.
  const { dispatcher: _, ...rest } = options as RequestInit & { dispatcher?: unknown }
  return globalThis.fetch(url, rest)
}
