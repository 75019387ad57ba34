import { decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from 'jose'
import type { Adapter, Provider } from 'oidc-provider'
import type { AccountStore } from '../accounts/account-store.ts'
import type { Clock } from '../clock.ts'
import type { ResourceSettings } from '../config/schema.ts'
import type { RingView } from '../ring/view.ts'
import { tellOutage } from './outage.ts'

/**
 * Checks JWT access tokens that Keyturn issued. oidc-provider keeps no record of them, so what it
 * would have read from a record is in the token or is looked up here.
 */
export interface JwtAccessTokens {
  /**
   * @returns claims of the token; undefined if it is not an access token of this issuer, has
   * expired or was revoked. Its client, person and grant may have been deleted.
   * @throws Outage
   */
  read(token: string): Promise<AccessTokenClaims | undefined>
  /**
   * @param provider finds the token's client and grant
   * @returns claims of the token; undefined if it is not an access token of this issuer or not
   * valid any more
   * @throws Outage
   */
  check(token: string, provider: Provider): Promise<AccessTokenClaims | undefined>
  /** Makes the token invalid at this server until it expires. @throws Outage */
  revoke(claims: AccessTokenClaims): Promise<void>
}

/** RFC 9068, section 2.2. */
export type AccessTokenClaims = JWTPayload & {
  readonly sub: string
  readonly exp: number
  readonly jti: string
  readonly client_id: string
  readonly scope?: string
  /** The grant of a person, with which the token ends; a client's own token has none. */
  readonly grant_id?: string
  /** RFC 7800: key whose possession the sender must prove. */
  readonly cnf?: { readonly jkt?: string }
}

export interface JwtAccessTokensOptions {
  readonly issuer: string
  /** APIs of the configuration. */
  readonly resources: readonly ResourceSettings[]
  readonly view: () => RingView | undefined
  /** Loads the ring if a token names a key that this node does not know. */
  readonly lookFor: (kid: string) => Promise<void>
  readonly accounts: Pick<AccountStore, 'findById'>
  /** Keeps the `jti` of each revoked token until the token expires. */
  readonly revoked: Pick<Adapter, 'find' | 'upsert'>
  readonly clock: Pick<Clock, 'now'>
}

/** The model of the artifact store for `JwtAccessTokensOptions.revoked`. */
export const REVOKED = 'RevokedAccessToken'

export function createJwtAccessTokens(options: JwtAccessTokensOptions): JwtAccessTokens {
  const { issuer, view, lookFor, accounts, revoked, clock } = options
  const apis = options.resources.filter(({ tokenFormat }) => tokenFormat === 'jwt')
  const audienceOf = (api: ResourceSettings) => api.audience ?? api.identifier
  const audience = apis.map(audienceOf)

  const keyOf = (kid: string) =>
    view()?.states.find(({ key, phase }) => key.kid === kid && phase !== 'revoked')?.key

  /** Checks signature, issuer, audience, type and expiry, without the store of revoked tokens. */
  async function verify(token: string): Promise<AccessTokenClaims | undefined> {
    const kid = kidOf(token)
    if (kid === undefined) return undefined
    if (!keyOf(kid)) await lookFor(kid)
    const key = keyOf(kid)
    if (!key?.publicJwk || !key.publicKey) return undefined
    try {
      const { payload, protectedHeader } = await jwtVerify(token, key.publicKey, {
        algorithms: [key.algorithm],
        issuer,
        audience,
        requiredClaims: ['exp', 'jti', 'sub', 'client_id'],
      })
      // ID tokens and the like have another type, or none (RFC 9068, section 2.1).
      const { typ } = protectedHeader
      if (!apis.some((api) => audienceOf(api) === payload.aud && api.typ === typ)) return undefined
      // The signature is this issuer's, so the payload has the shape that this issuer gives it.
      return payload as AccessTokenClaims
    } catch (error) {
      if (error instanceof errors.JOSEError) return undefined
      throw error
    }
  }

  async function isGrantOver(
    { grant_id: grantId, sub, client_id: clientId }: AccessTokenClaims,
    provider: Provider,
  ): Promise<boolean> {
    // A client's own token has no grant. A person's token without a grant could never be ended.
    if (grantId === undefined) return sub !== clientId
    const [grant, account] = await Promise.all([
      provider.Grant.find(grantId),
      tellOutage(accounts.findById(sub)),
    ])
    if (!account || account.isDisabled) return true
    return grant?.clientId !== clientId || grant.accountId !== sub
  }

  return {
    read: async (token) => {
      const claims = await verify(token)
      return claims && (await tellOutage(revoked.find(claims.jti))) ? undefined : claims
    },
    check: async (token, provider) => {
      const claims = await verify(token)
      if (!claims) return undefined
      const [isRevoked, client, isOver] = await Promise.all([
        tellOutage(revoked.find(claims.jti)),
        provider.Client.find(claims.client_id),
        isGrantOver(claims, provider),
      ])
      return isRevoked || !client || isOver ? undefined : claims
    },
    // The record has no owner because it must outlive an account or client that is removed and made
    // again.
    revoke: ({ jti, exp }) =>
      tellOutage(Promise.resolve(revoked.upsert(jti, {}, Math.max(1, exp - clock.now())))),
  }
}

/** `kid` in the header of the token; undefined if the token is no JWT. */
export function kidOf(token: string): string | undefined {
  try {
    const { kid } = decodeProtectedHeader(token)
    return kid
  } catch {
    return undefined
  }
}
