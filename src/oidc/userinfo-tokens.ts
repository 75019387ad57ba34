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
 * Lets userinfo accept access tokens for a client's default API, because they have the scope
 * `openid`. oidc-provider refuses every token with an audience at userinfo, and keeps no record of
 * JWTs. So userinfo alone finds a record without an audience, made from the JWT if the token is
 * one.
 */

/**
 * Private claim with what the `claims` parameter asked of userinfo (OpenID Connect Core 1.0,
 * section 5.5).
 */
const REQUESTED = 'userinfo_claims'

type Token = Parameters<NonNullable<Configuration['extraTokenClaims']>>[1]

/**
 * Claims that userinfo needs in a token beside the grant. Part of oidc-provider's
 * `extraTokenClaims`.
 */
export function claimsForUserinfo(
  { oidc: { entities } }: KoaContextWithOIDC,
  { resourceServer, scopes }: Token,
): UnknownObject | undefined {
  if (!resourceServer || !scopes.has('openid')) return undefined
  const { AuthorizationCode, DeviceCode, RefreshToken } = entities
  const requested = (AuthorizationCode ?? DeviceCode ?? RefreshToken)?.claims?.userinfo
  return requested && { [REQUESTED]: requested }
}

/** Wraps the adapter of access tokens so that userinfo finds tokens for the default API. */
export function findUserinfoTokens(
  adapter: ArtifactAdapter,
  tokens: Pick<JwtAccessTokens, 'read'>,
): ArtifactAdapter {
  const findForUserinfo: ArtifactAdapter['find'] = async (id) => {
    // Opaque tokens have no dots.
    if (id.includes('.')) return toRecord(await tokens.read(id))
    const found = await adapter.find(id)
    return found?.aud === undefined ? found : withoutAudience(found)
  }
  return {
    ...adapter,
    // Without `async`, because every request with a token comes through here.
    find: (id) =>
      Provider.ctx?.oidc?.route === 'userinfo' ? findForUserinfo(id) : adapter.find(id),
  }
}

function withoutAudience({ aud: _, ...token }: AdapterPayload): AdapterPayload {
  return { ...token, ...requestedBy(token.extra ?? {}) }
}

/** The record of an opaque token as oidc-provider keeps it, made from the claims of a JWT. */
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
  // oidc-provider checked the parameter from which this claim was made.
  return { claims: { userinfo: userinfo as Readonly<Record<string, null>> } }
}
