import { decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from 'jose'
import type { Adapter, Provider } from 'oidc-provider'
import type { AccountStore } from '../accounts/account-store.ts'
import type { Clock } from '../clock.ts'
import type { ResourceSettings } from '../config/schema.ts'
import type { RingView } from '../ring/view.ts'
import { tellOutage } from './outage.ts'

/**
 * JWT access tokens that Keyturn issued, asked about by somebody who has one. oidc-provider keeps no
 * record of them, so what it would have looked up is in the token or is looked up here.
 */
export interface JwtAccessTokens {
  /**
   * @returns what the token says; undefined where it is not an access token of ours, has expired or was
   * revoked. Its client, person and grant may be gone.
   * @throws Outage
   */
  read(token: string): Promise<AccessTokenClaims | undefined>
  /**
   * @param provider finds the token's client and grant
   * @returns what the token says; undefined where it is not an access token of ours, or good no more
   * @throws Outage
   */
  check(token: string, provider: Provider): Promise<AccessTokenClaims | undefined>
  /** It is good no more, for whoever asks, until it expires. @throws Outage */
  revoke(claims: AccessTokenClaims): Promise<void>
}

/** RFC 9068, section 2.2. */
export type AccessTokenClaims = JWTPayload & {
  readonly sub: string
  readonly exp: number
  readonly jti: string
  readonly client_id: string
  readonly scope?: string
  /** The grant of a person, by which the token ends with it; a client's own token has none. */
  readonly grant_id?: string
  /** RFC 7800: what its sender must prove. */
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
  /** Where `jti`s of revoked tokens are kept until these expire. */
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

  /** Whether it is one of ours that has not expired, by what it says alone. */
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
      // Ours, and so of the shape that we give it.
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
    // A client's own token; one of a person that names no grant could never be ended.
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
    // Nobody's, as it must outlive an account or a client that is removed and made again.
    revoke: ({ jti, exp }) =>
      tellOutage(Promise.resolve(revoked.upsert(jti, {}, Math.max(1, exp - clock.now())))),
  }
}

/** `kid` in the header of what may be a JWT. */
export function kidOf(token: string): string | undefined {
  try {
    const { kid } = decodeProtectedHeader(token)
    return kid
  } catch {
    return undefined
  }
}
