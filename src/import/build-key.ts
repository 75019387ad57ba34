import { calculateJwkThumbprint, type JWK } from 'jose'
import { isSignatureAlgorithm, SIGNATURE_ALGORITHMS } from '../ring/algorithms.ts'
import { ecKey, okpKey } from './curve-keys.ts'
import type { ImportedKey } from './imported-key.ts'
import { refusal } from './refusal.ts'
import { rsaKey } from './rsa.ts'

/** Most characters of a kid: the columns of the key stores take no more. */
const KID_MAX = 255

/** Algorithms of keys whose source names none, by type or curve. */
const USUAL: Readonly<Record<string, string>> = {
  RSA: 'RS256',
  'P-256': 'ES256',
  'P-384': 'ES384',
  'P-521': 'ES512',
  Ed25519: 'EdDSA',
}
const CURVE_OF: Readonly<Record<string, string>> = {
  ES256: 'P-256',
  ES384: 'P-384',
  ES512: 'P-521',
}

/** A key as a reader finds it, before its numbers are checked. */
export interface FoundKey extends Partial<Omit<ImportedKey, 'jwk' | 'thumbprint' | 'private'>> {
  /** Members as in a JWK. Members that are not part of the material are ignored. */
  readonly members: Readonly<Record<string, unknown>>
  readonly source: string
  /** True if nobody will ever sign with the key, so that no signature needs to be tried. */
  readonly isSpent?: boolean
}

/**
 * Checks the material of a key and writes it as Keyturn keeps it.
 * @throws ImportRefused if the policy forbids the key, its halves differ, or its algorithm or kid
 * is unusable
 */
export async function buildKey({
  members,
  kid,
  algorithm,
  isSpent = false,
  ...found
}: FoundKey): Promise<ImportedKey> {
  const use = found.use ?? 'sig'
  const whole = material(members, { isSpent })
  // No ring decrypts, so the private half of an encryption key is not taken.
  const jwk = use === 'enc' ? publicHalf(whole) : whole
  const thumbprint = await calculateJwkThumbprint(jwk, 'sha256')
  const usual = usualAlgorithm(jwk, use)
  if (use === 'sig' && algorithm !== undefined) assertFits(jwk, algorithm)
  if (kid !== undefined) assertKid(kid)
  return {
    ...found,
    jwk,
    kid: kid ?? thumbprint,
    thumbprint,
    algorithm: algorithm ?? usual,
    algorithmGiven: algorithm !== undefined,
    use,
    private: jwk.d !== undefined,
    certificates: found.certificates ?? [],
  }
}

/** Members of the public half of a key. */
export function publicHalf(jwk: JWK): JWK {
  const { d, p, q, dp, dq, qi, ...rest } = jwk
  return rest
}

function material(
  members: Readonly<Record<string, unknown>>,
  options: { readonly isSpent: boolean },
): JWK {
  switch (members.kty) {
    case 'RSA':
      return rsaKey(members, options)
    case 'EC':
      return ecKey(members)
    case 'OKP':
      return okpKey(members)
    case 'AKP':
      throw refusal(
        'key_type_unsupported',
        'It is a key of ML-DSA. No other system signs with it yet, so Keyturn makes such keys itself.',
      )
    case 'oct':
      throw refusal(
        'key_symmetric',
        'It is a symmetric key. Such a key is never published: who could verify with it could sign with it.',
      )
    default:
      throw refusal(
        'key_type_unsupported',
        'Its type (kty) is none that a ring of Keyturn can have.',
      )
  }
}

function usualAlgorithm(jwk: JWK, use: 'sig' | 'enc'): string {
  if (use === 'enc') return jwk.kty === 'RSA' ? 'RSA-OAEP' : 'ECDH-ES'
  return USUAL[String(jwk.crv ?? jwk.kty)] ?? ''
}

function assertFits(jwk: JWK, algorithm: string): void {
  const name = /^[\w.-]{1,40}$/.test(algorithm) ? algorithm : 'unknown'
  if (!isSignatureAlgorithm(algorithm)) {
    throw refusal('algorithm_unsupported', `Its algorithm is ${name}, and no ring can have it.`)
  }
  const curve = CURVE_OF[algorithm]
  if (
    SIGNATURE_ALGORITHMS[algorithm].kty !== jwk.kty ||
    (curve !== undefined && curve !== jwk.crv)
  ) {
    throw refusal(
      'algorithm_mismatch',
      `Its algorithm is ${name}, with which a key of type ${[jwk.kty, jwk.crv].filter(Boolean).join(' ')} cannot sign.`,
    )
  }
}

/**
 * Checks a kid strictly, because relying parties compare kids byte by byte and logs show them.
 * @throws ImportRefused `kid_malformed`
 */
export function assertKid(kid: string): void {
  const length = [...kid].length
  if (kid.trim() === '' || length > KID_MAX || !kid.isWellFormed() || /\p{Cc}/u.test(kid)) {
    throw refusal(
      'kid_malformed',
      `Its kid is refused: a kid has 1 to ${KID_MAX} characters, not only blanks and none that control a terminal. Relying ` +
        'parties know the key by it, so it is not changed.',
    )
  }
}
