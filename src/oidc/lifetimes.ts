import type { Configuration, KoaContextWithOIDC, Provider } from 'oidc-provider'
import type { ArtifactAdapter } from '../artifacts/artifact-store.ts'
import { FAPI2_CODE } from '../clients/fapi2.ts'
import { ownProperties } from '../clients/properties.ts'
import type { IssuerConfig } from '../config/schema.ts'
import type { Fapi2 } from './profiles/fapi2.ts'

/** Lifetimes of what oidc-provider issues, in seconds, bounded by `config/policies.ts`. */
export function lifetimes(
  { tokens }: Pick<IssuerConfig, 'tokens'>,
  fapi2: Pick<Fapi2, 'atMost'>,
): NonNullable<Configuration['ttl']> {
  // The types want numbers or functions of exactly their own arguments.
  return {
    AccessToken: (_ctx: unknown, token: ForApi, client: object) => {
      const { access_token_lifetime: ofClient } = ownProperties(client)
      const ofApi = token.resourceServer?.accessTokenTTL
      if (ofClient === undefined) return ofApi ?? tokens.accessToken
      return Math.min(ofClient, ofApi ?? ofClient)
    },
    AuthorizationCode: fapi2.atMost(FAPI2_CODE, tokens.authorizationCode),
    ClientCredentials: (_ctx: unknown, token: ForApi, client: object) => {
      const { access_token_lifetime: ofClient = tokens.clientCredentials } = ownProperties(client)
      return Math.min(ofClient, token.resourceServer?.accessTokenTTL ?? ofClient)
    },
    DeviceCode: tokens.deviceCode,
    Grant: tokens.grant,
    IdToken: (_ctx: unknown, _token: unknown, client: object) =>
      ownProperties(client).id_token_lifetime ?? tokens.idToken,
    Interaction: tokens.interaction,
    RefreshToken: refreshTokenLifetime(tokens.refreshToken),
    Session: sessionLifetime(tokens),
  } as NonNullable<Configuration['ttl']>
}

interface ForApi {
  readonly resourceServer?: { readonly accessTokenTTL?: number | undefined } | undefined
}

/**
 * Each rotation starts a new lifetime, except for a public client in a browser, whose refresh token
 * can be stolen and must not live for ever (OAuth 2.0 for Browser-Based Applications).
 */
function refreshTokenLifetime(lifetime: number) {
  return (
    ctx: KoaContextWithOIDC,
    token: { isSenderConstrained(): boolean },
    client: { applicationType?: string | undefined; clientAuthMethod?: string | undefined },
  ): number => {
    const rotated = ctx?.oidc?.entities.RotatedRefreshToken
    const isBrowserApp = client.applicationType === 'web' && client.clientAuthMethod === 'none'
    if (rotated && isBrowserApp && !token.isSenderConstrained()) return rotated.remainingTTL
    return ownProperties(client).refresh_token_lifetime ?? lifetime
  }
}

/**
 * A session without a person holds a form's secret for as long as a sign-in may take. Anybody can
 * create any number of such sessions (`/session/end`, `/device`, `/auth`), so they live shorter
 * than sessions of people.
 */
function sessionLifetime({ session, interaction }: IssuerConfig['tokens']) {
  const withoutPerson = Math.min(session, interaction)
  return (_ctx: KoaContextWithOIDC, { accountId }: { accountId?: string | undefined }): number =>
    accountId === undefined ? withoutPerson : session
}

/**
 * Wraps the adapter of pushed requests so that they live as long as configured, because
 * oidc-provider always gives them 60 seconds.
 * @param lifetime seconds, 60 at most
 */
export function limitPushedRequests(adapter: ArtifactAdapter, lifetime: number): ArtifactAdapter {
  return {
    ...adapter,
    upsert: (id, payload, expiresIn = lifetime) => {
      const shorter = expiresIn - lifetime
      return adapter.upsert(id, { ...payload, exp: Number(payload.exp) - shorter }, lifetime)
    },
  }
}

/** Reports the shortened lifetime in the answer to the client. */
export function tellPushedRequests(provider: Provider, lifetime: number): void {
  provider.on('pushed_authorization_request.success', (ctx) => {
    ctx.body = { ...(ctx.body as object), expires_in: lifetime }
  })
}
