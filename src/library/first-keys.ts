import { calculateJwkThumbprint, type JWK } from 'jose'
import { SIGNATURE_ALGORITHMS, type SignatureAlgorithm } from '../ring/algorithms.ts'
import type { KeyStore } from '../ring/key-store.ts'
import { type RotationPolicies, signatureRing } from '../ring/policy.ts'
import type { Sealer } from '../ring/sealer.ts'

export interface FirstKeysOptions {
  readonly store: KeyStore
  readonly sealer: Sealer
  readonly algorithms: readonly SignatureAlgorithm[]
  readonly policies: RotationPolicies
  /** Seconds since the epoch. */
  readonly now: number
  /** Seconds. */
  readonly clockSkew: number
}

/**
 * Takes the private keys of a JWK Set over as the first keys of the rings that have none yet: the first
 * key of an algorithm signs on, those behind it are published until what they signed has expired, as
 * oidc-provider would have it. Their `kid` stays what it is. A ring that has keys is left alone, so that
 * every start may call this.
 * @throws TypeError for a key that is not private or that no ring of the policy takes; StoreUnavailable
 */
export async function takeFirstKeys(
  { keys }: { readonly keys: readonly JWK[] },
  options: FirstKeysOptions,
): Promise<void> {
  const { store, sealer, algorithms, policies, now, clockSkew } = options
  const stored = await store.load()
  const placed = keys.map((jwk) => ({ jwk, algorithm: algorithmOf(jwk, algorithms) }))
  for (const algorithm of algorithms) {
    const ring = signatureRing(algorithm)
    if (stored.keys.some((key) => key.ring === ring)) continue
    const ofRing = placed.filter((key) => key.algorithm === algorithm)
    for (const [place, { jwk }] of ofRing.entries()) {
      const facts = {
        kid: jwk.kid ?? (await calculateJwkThumbprint(jwk, 'sha256')),
        ...{ ring, algorithm, generation: ofRing.length - place },
        createdAt: now,
        // RPs know all of them, so nobody has to wait; each retires as the one before it in the set begins.
        activatesAt: now - 2 * clockSkew - place,
        retention: policies.policyFor(ring).retention,
      }
      await store.addKey(await sealer.seal(facts, jwk, []))
    }
  }
}

function algorithmOf(jwk: JWK, algorithms: readonly SignatureAlgorithm[]): SignatureAlgorithm {
  const name = jwk.kid ?? 'without kid'
  if (!('d' in jwk || 'priv' in jwk)) {
    throw new TypeError(`firstKeys: key ${name} has no private half, so it cannot sign`)
  }
  const fits = (algorithm: SignatureAlgorithm) => {
    const { kty, scheme } = SIGNATURE_ALGORITHMS[algorithm]
    const curve = 'namedCurve' in scheme ? scheme.namedCurve : undefined
    return kty === jwk.kty && (curve === undefined || curve === jwk.crv)
  }
  const found = algorithms.find((algorithm) => (jwk.alg ? algorithm === jwk.alg : fits(algorithm)))
  if (found && fits(found)) return found
  throw new TypeError(
    `firstKeys: no ring takes key ${name} (kty ${jwk.kty}, alg ${jwk.alg ?? 'not given'}). ` +
      `Add its algorithm to policy.algorithms, which has ${algorithms.join(', ')}.`,
  )
}
