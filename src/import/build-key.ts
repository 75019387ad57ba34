import { calculateJwkThumbprint, type JWK } from 'jose'
import { isSignatureAlgorithm, SIGNATURE_ALGORITHMS } from '../ring/algorithms.ts'
import { ecKey, okpKey } from './curve-keys.ts'
import type { ImportedKey } from './imported-key.ts'
import { refusal } from './refusal.ts'
import { rsaKey } from './rsa.ts'

/** Characters of a kid: what the columns of the key stores take. */
const KID_MAX = 255

/** What stands for a key whose source names no algorithm. */
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

/** What a reader knows of a key before its numbers were looked at. */
export interface FoundKey extends Partial<Omit<ImportedKey, 'jwk' | 'thumbprint' | 'private'>> {
  /** Members as in a JWK; those that are no part of the material are not looked at. */
  readonly members: Readonly<Record<string, unknown>>
  readonly source: string
  /** The key is left behind, so that nobody ever signs with it: its numbers need not be tried. */
  readonly isSpent?: boolean
}

/**
 * Checks the material of a key, and writes it as Keyturn keeps it.
 * @throws ImportRefused by the policy, where its halves differ, where algorithm or kid are of no use
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
  // No ring decrypts, so the private half of an encryption key stays where it is.
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

/** The members of a key that everybody may know. */
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

/** @throws ImportRefused `kid_malformed`: relying parties compare kids byte by byte, and logs show them */
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
