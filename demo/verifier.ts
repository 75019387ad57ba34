import {
  createRemoteJWKSet,
  customFetch,
  decodeJwt,
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  jwtVerify,
  type ProtectedHeaderParameters,
} from 'jose'
import { systemClock } from '../src/clock.ts'

/**
 * Collects every token and verifies all of them again and again until they expire, using only jose
 * with its default cache of the JWKS.
 */
export interface Verifier {
  /** Every token that has not expired, newest first. */
  readonly tokens: readonly CollectedToken[]
  /** The latest runs, newest first. */
  readonly runs: readonly Run[]
  readonly totals: { readonly verified: number; readonly failed: number }
  /** The JWKS as the application has it, and when it last asked for it. */
  readonly copy: { readonly kids: readonly string[]; readonly fetchedAt: number | undefined }
  collect(token: { kind: TokenKind; origin: string; jwt: string }): CollectedToken
  /** Verifies every token once. */
  run(): Promise<void>
  /** @returns the `sub` of a logout token. @throws what is wrong with it */
  readLogoutToken(jwt: string): Promise<string>
}

export type TokenKind = 'ID token' | 'access token'

export interface CollectedToken {
  readonly kind: TokenKind
  /** How it was obtained: `sign-in`, `refresh`, ... */
  readonly origin: string
  readonly jwt: string
  readonly header: ProtectedHeaderParameters
  readonly payload: JWTPayload
  readonly kid: string
  readonly expiresAt: number
  readonly verified: number
  readonly failed: number
}

export interface Run {
  readonly at: number
  readonly verified: number
  readonly problems: readonly string[]
  /** The keys that signed what was verified. */
  readonly kids: readonly string[]
}

export interface VerifierOptions {
  readonly issuer: string
  readonly jwksUri: string
  readonly clientId: string
  /** Audience of the access tokens. */
  readonly api: string
}

const LOGOUT_EVENT = 'http://schemas.openid.net/event/backchannel-logout'
const RUNS_SHOWN = 6
/** So that a button held down does not fill the memory. */
const TOKENS_MAX = 200

export function createVerifier({ issuer, jwksUri, clientId, api }: VerifierOptions): Verifier {
  let fetchedAt: number | undefined
  // The defaults decide when to fetch; this only takes note of it.
  const jwks = createRemoteJWKSet(new URL(jwksUri), {
    [customFetch]: (url, init) => {
      fetchedAt = systemClock.now()
      return fetch(url, init)
    },
  })
  let tokens: readonly CollectedToken[] = []
  let runs: readonly Run[] = []
  let totals = { verified: 0, failed: 0 }

  /** @returns `verified`, `expired`, or what is wrong with the token */
  async function verify({ kind, jwt }: CollectedToken): Promise<string> {
    const options = kind === 'ID token' ? { audience: clientId } : { audience: api, typ: 'at+jwt' }
    try {
      await jwtVerify(jwt, jwks, { issuer, ...options })
      return 'verified'
    } catch (error) {
      if (error instanceof errors.JWTExpired) return 'expired'
      return error instanceof Error ? error.message : String(error)
    }
  }

  return {
    get tokens() {
      return tokens
    },
    get runs() {
      return runs
    },
    get totals() {
      return totals
    },
    get copy() {
      const kids = (jwks.jwks()?.keys ?? []).flatMap(({ kid }) => kid ?? [])
      return { kids, fetchedAt }
    },

    collect({ kind, origin, jwt }) {
      const header = decodeProtectedHeader(jwt)
      const payload = decodeJwt(jwt)
      const kid = header.kid ?? ''
      const expiresAt = payload.exp ?? 0
      const token = { kind, origin, jwt, header, payload, kid, expiresAt, verified: 0, failed: 0 }
      tokens = [token, ...tokens.filter((other) => other.jwt !== jwt)].slice(0, TOKENS_MAX)
      return token
    },

    async run() {
      const at = systemClock.now()
      const chosen = tokens.filter((token) => token.expiresAt > at)
      const answers = await Promise.all(
        chosen.map(async (token) => [token, await verify(token)] as const),
      )
      const results = new Map(answers.map(([token, result]) => [token.jwt, result]))
      // Tokens that were collected meanwhile wait for the next run.
      tokens = tokens
        .filter(({ jwt, expiresAt }) => expiresAt > at && results.get(jwt) !== 'expired')
        .map((token) => count(token, results.get(token.jwt)))

      const checked = answers.filter(([, result]) => result !== 'expired')
      if (checked.length === 0) return
      const problems = checked.flatMap(([, result]) => (result === 'verified' ? [] : result))
      const verified = checked.length - problems.length
      const kids = [...new Set(checked.map(([token]) => token.kid))]
      runs = [{ at, verified, problems, kids }, ...runs].slice(0, RUNS_SHOWN)
      totals = {
        verified: totals.verified + verified,
        failed: totals.failed + problems.length,
      }
    },

    async readLogoutToken(jwt) {
      const { payload } = await jwtVerify(jwt, jwks, {
        issuer,
        audience: clientId,
        typ: 'logout+jwt',
        requiredClaims: ['iat', 'jti', 'sub'],
      })
      const { sub = '', events, nonce } = payload
      const isLogout = typeof events === 'object' && events !== null && LOGOUT_EVENT in events
      // An ID token, which is signed by the same key, has a nonce and no such event.
      if (!isLogout || nonce !== undefined) throw new TypeError('this is no logout token')
      return sub
    },
  }
}

function count(token: CollectedToken, result: string | undefined): CollectedToken {
  if (result === undefined) return token
  if (result === 'verified') return { ...token, verified: token.verified + 1 }
  return { ...token, failed: token.failed + 1 }
}
