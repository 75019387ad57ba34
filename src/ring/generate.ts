import { generateKeyPair, generateKeySync, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import { calculateJwkThumbprint, type JWK } from 'jose'
import { COOKIE_ALGORITHM, isSignatureAlgorithm, type SignatureAlgorithm } from './policy.ts'

// Promisified overloads lose their types; algorithms come from the table below.
const generatePair = promisify(generateKeyPair) as (
  type: string,
  options: object,
) => Promise<{ privateKey: KeyObject; publicKey: KeyObject }>

/** RS and PS keys have 2048 bits: NIST SP 800-57 allows them to 2030, and 4096 signs 20 times slower. */
const RSA = ['rsa', { modulusLength: 2048 }] as const

/** Arguments for node:crypto's generateKeyPair, per JWS algorithm. */
const KEY_TYPES = {
  RS256: RSA,
  RS384: RSA,
  RS512: RSA,
  PS256: RSA,
  PS384: RSA,
  PS512: RSA,
  ES256: ['ec', { namedCurve: 'P-256' }],
  ES384: ['ec', { namedCurve: 'P-384' }],
  ES512: ['ec', { namedCurve: 'P-521' }],
  Ed25519: ['ed25519', {}],
  EdDSA: ['ed25519', {}],
  'ML-DSA-44': ['ml-dsa-44', {}],
  'ML-DSA-65': ['ml-dsa-65', {}],
  'ML-DSA-87': ['ml-dsa-87', {}],
} as const satisfies Record<SignatureAlgorithm, readonly [string, object]>

/** A private or symmetric JWK that was just made. */
export interface NewKey {
  /** RFC 7638 thumbprint, SHA-256, base64url. */
  readonly kid: string
  readonly jwk: JWK
}

/**
 * Makes a key for a ring, off the event loop.
 * @param algorithm JWS `alg`; HS256 makes the 256-bit secret of a cookie ring
 * @throws TypeError for an algorithm no ring can have
 */
export async function generateKey(algorithm: string): Promise<NewKey> {
  const jwk = await generateJwk(algorithm)
  return { kid: await calculateJwkThumbprint(jwk, 'sha256'), jwk }
}

async function generateJwk(algorithm: string): Promise<JWK> {
  if (algorithm === COOKIE_ALGORITHM) {
    return generateKeySync('hmac', { length: 256 }).export({ format: 'jwk' }) as JWK
  }
  if (!isSignatureAlgorithm(algorithm)) throw new TypeError(`no ring can sign with ${algorithm}`)
  const [type, options] = KEY_TYPES[algorithm]
  const { privateKey } = await generatePair(type, options)
  return privateKey.export({ format: 'jwk' }) as JWK
}
