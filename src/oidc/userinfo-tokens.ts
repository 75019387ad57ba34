import {
  type AdapterPayload,
  type Configuration,
  type KoaContextWithOIDC,
  Provider,
  type UnknownObject,
} from 'oidc-provider'
import type { ArtifactAdapter } from '../artifacts/artifact-store.ts'
import type { AccessTokenClaims, JwtAccessTokens } from './jwt-access-tokens.ts'

/**
 * Access tokens for a client's default API are answered by userinfo too, as they have the scope
 * `openid`. oidc-provider refuses every token with an audience there, and does not keep JWTs at all: so
 * userinfo, and nobody else, finds a record without an audience, made from the JWT where it is one.
 */

/** A private claim: what the `claims` parameter asked of userinfo (OpenID Connect Core 1.0, section 5.5). */
const REQUESTED = 'userinfo_claims'

type Token = Parameters<NonNullable<Configuration['extraTokenClaims']>>[1]

/** What a token must carry for that beside its grant. Part of oidc-provider's `extraTokenClaims`. */
export function claimsForUserinfo(
  { oidc: { entities } }: KoaContextWithOIDC,
  { resourceServer, scopes }: Token,
): UnknownObject | undefined {
  if (!resourceServer || !scopes.has('openid')) return undefined
  const { AuthorizationCode, DeviceCode, RefreshToken } = entities
  const requested = (AuthorizationCode ?? DeviceCode ?? RefreshToken)?.claims?.userinfo
  return requested && { [REQUESTED]: requested }
}

/** The same adapter of access tokens, which finds such tokens where userinfo asks. */
export function findUserinfoTokens(
  adapter: ArtifactAdapter,
  tokens: Pick<JwtAccessTokens, 'read'>,
): ArtifactAdapter {
  return {
    ...adapter,
    find: async (id) => {
      if (Provider.ctx?.oidc?.route !== 'userinfo') return adapter.find(id)
      // Opaque tokens have no dots.
      if (id.includes('.')) return toRecord(await tokens.read(id))
      const found = await adapter.find(id)
      return found?.aud === undefined ? found : withoutAudience(found)
    },
  }
}

function withoutAudience({ aud: _, ...token }: AdapterPayload): AdapterPayload {
  return { ...token, ...requestedBy(token.extra ?? {}) }
}

/** As oidc-provider keeps opaque tokens. It looks at scope, expiry, client, person, grant and DPoP key. */
function toRecord(claims: AccessTokenClaims | undefined): AdapterPayload | undefined {
  if (claims?.grant_id === undefined) return undefined
  const { jti, sub, iat, exp, scope, client_id: clientId, grant_id: grantId, cnf } = claims
  return {
    kind: 'AccessToken',
    ...{ jti, iat, exp, scope, clientId, grantId, accountId: sub },
    ...(cnf?.jkt === undefined ? {} : { jkt: cnf.jkt }),
    ...requestedBy(claims),
  }
}

function requestedBy({ [REQUESTED]: userinfo }: UnknownObject): Pick<AdapterPayload, 'claims'> {
  if (typeof userinfo !== 'object' || userinfo === null) return {}
  // It is what oidc-provider took from the parameter.
  return { claims: { userinfo: userinfo as Readonly<Record<string, null>> } }
}
