import { type KeyObject, subtle, type webcrypto } from 'node:crypto'
import type { JWK } from 'jose'
import { SIGNATURE_ALGORITHMS, type SignatureAlgorithm } from './algorithms.ts'

/**
 * Signs with one key. A signer does not reveal its private key, which may be in this process, in a
 * hardware token or behind a network.
 */
export interface Signer {
  /** The key in the JWKS (RFC 7517, section 4). */
  readonly publicJwk: JWK
  /** JWS `alg`. */
  readonly algorithm: SignatureAlgorithm
  /**
   * Signs as JWS says (RFC 7518, section 3): ECDSA signatures are R and S, not DER.
   * @param bytes the signing input of a compact JWS (RFC 7515, section 5.1)
   */
  sign(bytes: Uint8Array): Promise<Uint8Array>
}

/**
 * A signer whose private key is in this process. The private key can be neither read nor exported
 * from the signer.
 */
export function localSigner(
  privateKey: KeyObject,
  { publicJwk, algorithm }: Pick<Signer, 'publicJwk' | 'algorithm'>,
): Signer {
  const { scheme } = SIGNATURE_ALGORITHMS[algorithm]
  // Made at the first signature, because a process opens many keys with which it never signs.
  let signingKey: webcrypto.CryptoKey | undefined
  return {
    publicJwk,
    algorithm,
    sign: async (bytes) => {
      // WebCrypto costs the main thread half of what node:crypto's sign does with a KeyObject.
      signingKey ??= privateKey.toCryptoKey(scheme, false, ['sign'])
      return new Uint8Array(await subtle.sign(scheme, signingKey, bytes))
    },
  }
}
