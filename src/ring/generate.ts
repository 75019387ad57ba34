import { calculateJwkThumbprint, exportJWK, generateKeyPair, generateSecret, type JWK } from 'jose'
import { COOKIE_ALGORITHM, isSignatureAlgorithm, RSA_BITS } from './algorithms.ts'

/** A new private or symmetric JWK. */
export interface NewKey {
  /** RFC 7638 thumbprint, SHA-256, base64url. */
  readonly kid: string
  readonly jwk: JWK
}

/**
 * Makes a key for a ring, off the event loop.
 * @param algorithm JWS `alg`; HS256 makes the 256-bit secret of a cookie ring
 * @throws TypeError for an algorithm that no ring can have
 */
export async function generateKey(algorithm: string): Promise<NewKey> {
  const jwk = await exportJWK(await generateCryptoKey(algorithm))
  return { kid: await calculateJwkThumbprint(jwk, 'sha256'), jwk }
}

async function generateCryptoKey(algorithm: string) {
  const extractable = true
  if (algorithm === COOKIE_ALGORITHM) return generateSecret(algorithm, { extractable })
  if (!isSignatureAlgorithm(algorithm)) throw new TypeError(`no ring can sign with ${algorithm}`)
  const pair = await generateKeyPair(algorithm, { extractable, modulusLength: RSA_BITS })
  return pair.privateKey
}
