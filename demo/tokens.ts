import * as openid from 'openid-client'
import type { CollectedToken, Verifier } from './verifier.ts'

/** Gets tokens from Keyturn and collects each of them for the verifier. */
export interface Tokens {
  /** Collects what an answer of the token endpoint has. */
  collect(tokens: openid.TokenEndpointResponse, origin: string): Collected
  /** Gets an access token for the application itself. */
  ofApplication(): Promise<void>
  /** True if there is a refresh token of that person. */
  canRefresh(subject: string): boolean
  /** @returns undefined if there is no refresh token of that person */
  refresh(subject: string): Promise<Collected | undefined>
}

export interface Collected {
  readonly accessToken: CollectedToken
  readonly idToken: CollectedToken | undefined
}

/** The API that access tokens are for. */
export const API = 'https://api.demo.example'

export function createTokens(client: openid.Configuration, verifier: Verifier): Tokens {
  /** Refresh tokens by subject, because they are valid without a session. */
  const refreshTokens = new Map<string, string>()

  function collect(tokens: openid.TokenEndpointResponse, origin: string): Collected {
    const { access_token: accessToken, id_token: idToken, refresh_token: refreshToken } = tokens
    const collected = {
      accessToken: verifier.collect({ kind: 'access token', origin, jwt: accessToken }),
      idToken: idToken ? verifier.collect({ kind: 'ID token', origin, jwt: idToken }) : undefined,
    }
    const subject = collected.accessToken.payload.sub
    if (subject && refreshToken) refreshTokens.set(subject, refreshToken)
    return collected
  }

  return {
    collect,
    ofApplication: async () => {
      const parameters = { resource: API, scope: 'read' }
      collect(await openid.clientCredentialsGrant(client, parameters), 'client credentials')
    },
    canRefresh: (subject) => refreshTokens.has(subject),
    refresh: async (subject) => {
      const refreshToken = refreshTokens.get(subject)
      if (!refreshToken) return undefined
      // Each refresh token is used once. If the answer is lost, the next sign-in brings another.
      refreshTokens.delete(subject)
      return collect(
        await openid.refreshTokenGrant(client, refreshToken, { resource: API }),
        'refresh',
      )
    },
  }
}
