import { createPublicKey, type JsonWebKey, type KeyObject, verify } from 'node:crypto'
import { decodeProtectedHeader, type JWK } from 'jose'
import { directiveOf } from './jwks-source.ts'

/**
 * How relying parties without a JavaScript library cache the JWKS, as models with the parameters
 * that their sources have. Instants and durations are milliseconds.
 */
export interface CacheModel {
  /** Lifetime of a set: milliseconds, the answer's max-age, or without end. */
  readonly lifetime: number | 'max-age' | 'for ever'
  /**
   * Behaviour at the end of the lifetime: the request waits, a timer refreshes, or the next request
   * starts a refresh.
   */
  readonly refresh: 'blocking' | 'timer' | 'behind'
  /** Behaviour for an unknown kid: fail, fetch and wait, or fail and fetch behind. */
  readonly unknownKid: 'fail' | 'fetch' | 'fetch behind'
  /** Time from one attempt to fetch for an unknown kid to the next. */
  readonly coolDown: number
  /** Each key expires by itself, over a set that does not. */
  readonly perKid?: { readonly lifetime: number; readonly most: number }
}

export interface Verifier {
  /** @throws with the reason if the token is refused */
  verify(token: string): Promise<void>
  close?(): void
}

type Jwks = ReadonlyMap<string, JWK>

export function createModel(jwksUri: string, model: CacheModel): Verifier {
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
        const { lifetime } = model
        const kept = lifetime === 'max-age' ? maxAge : lifetime === 'for ever' ? Infinity : lifetime
        expiresAt = Date.now() + kept
        return keys
      })
      .finally(() => {
        fetching = undefined
      })
    return fetching
  }
  const refreshBehind = () => void refresh().catch(() => {})
  const timer =
    model.refresh === 'timer' && typeof model.lifetime === 'number'
      ? setInterval(refreshBehind, model.lifetime)
      : undefined

  const current = async (): Promise<Jwks> => {
    if (!set) return refresh()
    if (model.refresh === 'timer' || Date.now() < expiresAt) return set
    if (model.refresh === 'blocking') return refresh()
    refreshBehind()
    return set
  }
  const find = async (kid: string): Promise<JWK> => {
    const known = (await current()).get(kid)
    if (known) return known
    // Waits for a fetch under way, even if another token began it.
    const mayFetch = fetching !== undefined || Date.now() - attemptedAt >= model.coolDown
    if (model.unknownKid === 'fetch' && mayFetch) {
      const fetched = (await refresh()).get(kid)
      if (fetched) return fetched
    }
    if (model.unknownKid === 'fetch behind' && mayFetch) refreshBehind()
    throw new Error('no key of this kid in the JWKS')
  }
  const findPerKid = async (
    kid: string,
    { lifetime, most }: { lifetime: number; most: number },
  ) => {
    const kept = perKid.get(kid)
    if (kept && Date.now() < kept.expiresAt) return kept.jwk
    const jwk = await find(kid)
    perKid.delete(kid)
    perKid.set(kid, { jwk, expiresAt: Date.now() + lifetime })
    const [oldest] = perKid.keys()
    if (perKid.size > most && oldest !== undefined) perKid.delete(oldest)
    return jwk
  }
  return {
    verify: async (token) => {
      const { kid = '', alg = '' } = decodeProtectedHeader(token)
      const jwk = await (model.perKid ? findPerKid(kid, model.perKid) : find(kid))
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
