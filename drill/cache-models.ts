import { createPublicKey, type JsonWebKey, type KeyObject, verify } from 'node:crypto'
import { decodeProtectedHeader, type JWK } from 'jose'
import type { RpModel } from '../src/relying-parties/model.ts'
import { directiveOf } from './jwks-source.ts'

/**
 * Relying parties without a JavaScript library, against a real server: they keep the JWKS as the
 * table of models says (`src/relying-parties/models.ts`), with shorter times.
 */

/** Times in milliseconds, in place of those of the table. */
export interface ShortTimes {
  /** Lifetime of a set, or of a key by itself; absent if the table says `max-age` or no end. */
  readonly lifetime?: number
  /** Time from one attempt to fetch for an unknown kid to the next; 0 if absent. */
  readonly coolDown?: number
}

/** Keys that a cache of single keys has at most, as jwks-rsa-java's by default. */
const MOST_KEYS = 5

export interface Verifier {
  /** @throws with the reason if the token is refused */
  verify(token: string): Promise<void>
  close?(): void
}

type Jwks = ReadonlyMap<string, JWK>

export function createModel(
  jwksUri: string,
  model: RpModel,
  { lifetime = Infinity, coolDown = 0 }: ShortTimes,
): Verifier {
  const isByMaxAge = typeof model.lifetime === 'object'
  const isPerKid = model.keeps === 'keys of a set'
  /** True if a fetch for an unknown kid helps its next token only. */
  const isLate = model.unknownKid === 'fetch behind' || model.unknownKid === 'wait for poll'
  const setLifetime = isPerKid ? Infinity : lifetime
  let set: Jwks | undefined
  let expiresAt = 0
  let attemptedAt = -Infinity
  let fetching: Promise<Jwks> | undefined
  const perKid = new Map<string, { readonly jwk: JWK; readonly expiresAt: number }>()

  const refresh = () => {
    if (fetching) return fetching
    attemptedAt = Date.now()
    fetching = fetchJwks(jwksUri)
      .then(({ keys, maxAge }) => {
        set = keys
        expiresAt = Date.now() + (isByMaxAge ? maxAge : setLifetime)
        return keys
      })
      .finally(() => {
        fetching = undefined
      })
    return fetching
  }
  const refreshBehind = () => void refresh().catch(() => {})
  const timer = model.refresh === 'by timer' ? setInterval(refreshBehind, lifetime) : undefined

  const current = async (): Promise<Jwks> => {
    if (!set) return refresh()
    if (model.refresh === 'by timer' || Date.now() < expiresAt) return set
    if (model.refresh === 'before') return refresh()
    refreshBehind()
    return set
  }
  const find = async (kid: string): Promise<JWK> => {
    const known = (await current()).get(kid)
    if (known) return known
    // Waits for a fetch under way, even if another token began it.
    const mayFetch = fetching !== undefined || Date.now() - attemptedAt >= coolDown
    if (model.unknownKid === 'fetch' && mayFetch) {
      const fetched = (await refresh()).get(kid)
      if (fetched) return fetched
    }
    if (isLate && mayFetch) refreshBehind()
    throw new Error('no key of this kid in the JWKS')
  }
  const findPerKid = async (kid: string): Promise<JWK> => {
    const kept = perKid.get(kid)
    if (kept && Date.now() < kept.expiresAt) return kept.jwk
    const jwk = await find(kid)
    perKid.delete(kid)
    perKid.set(kid, { jwk, expiresAt: Date.now() + lifetime })
    const [oldest] = perKid.keys()
    if (perKid.size > MOST_KEYS && oldest !== undefined) perKid.delete(oldest)
    return jwk
  }
  return {
    verify: async (token) => {
      const { kid = '', alg = '' } = decodeProtectedHeader(token)
      const jwk = await (isPerKid ? findPerKid(kid) : find(kid))
      verifySignature(token, alg, jwk)
    },
    close: () => clearInterval(timer),
  }
}

async function fetchJwks(jwksUri: string): Promise<{ keys: Jwks; maxAge: number }> {
  const answer = await fetch(jwksUri, { signal: AbortSignal.timeout(5000) })
  const text = await answer.text()
  if (answer.status !== 200) throw new Error(`the JWKS answered ${answer.status}`)
  // The drill's own server wrote it.
  const { keys } = JSON.parse(text) as { keys: readonly JWK[] }
  const maxAge = directiveOf(answer.headers.get('cache-control') ?? '', 'max-age') ?? 0
  return { keys: new Map(keys.map((jwk) => [jwk.kid ?? '', jwk])), maxAge: maxAge * 1000 }
}

/**
 * Imported keys, shared by all models, because importing a key costs more than checking a
 * signature.
 */
const imported = new WeakMap<JWK, KeyObject>()

/** Checks a compact JWS (RFC 7515); `exp` is the caller's business. */
function verifySignature(token: string, alg: string, jwk: JWK): void {
  if (jwk.alg !== alg) throw new Error(`the key is for ${jwk.alg}, the token says ${alg}`)
  // The shapes are the same; Node's type is less precise.
  const key = imported.get(jwk) ?? createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' })
  imported.set(jwk, key)
  const end = token.lastIndexOf('.')
  const isValid = verify(
    alg === 'Ed25519' ? null : 'sha256',
    Buffer.from(token.slice(0, end)),
    alg === 'ES256' ? { key, dsaEncoding: 'ieee-p1363' } : key,
    Buffer.from(token.slice(end + 1), 'base64url'),
  )
  if (!isValid) throw new Error('the signature is wrong')
}
