/**
 * Algorithms with which a ring can sign; keys of the cookie ring have `COOKIE_ALGORITHM` instead.
 * `kty` is the key type of the JWK (RFC 7518, section 6.1; RFC 8037; RFC 9964), `scheme` the JWS
 * algorithm (RFC 7518, section 3.1) as WebCrypto spells it.
 */
export const SIGNATURE_ALGORITHMS = {
  RS256: { kty: 'RSA', scheme: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' } },
  RS384: { kty: 'RSA', scheme: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-384' } },
  RS512: { kty: 'RSA', scheme: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-512' } },
  PS256: { kty: 'RSA', scheme: { name: 'RSA-PSS', hash: 'SHA-256', saltLength: 32 } },
  PS384: { kty: 'RSA', scheme: { name: 'RSA-PSS', hash: 'SHA-384', saltLength: 48 } },
  PS512: { kty: 'RSA', scheme: { name: 'RSA-PSS', hash: 'SHA-512', saltLength: 64 } },
  ES256: { kty: 'EC', scheme: { name: 'ECDSA', hash: 'SHA-256', namedCurve: 'P-256' } },
  ES384: { kty: 'EC', scheme: { name: 'ECDSA', hash: 'SHA-384', namedCurve: 'P-384' } },
  ES512: { kty: 'EC', scheme: { name: 'ECDSA', hash: 'SHA-512', namedCurve: 'P-521' } },
  Ed25519: { kty: 'OKP', scheme: { name: 'Ed25519' } },
  EdDSA: { kty: 'OKP', scheme: { name: 'Ed25519' } },
  'ML-DSA-44': { kty: 'AKP', scheme: { name: 'ML-DSA-44' } },
  'ML-DSA-65': { kty: 'AKP', scheme: { name: 'ML-DSA-65' } },
  'ML-DSA-87': { kty: 'AKP', scheme: { name: 'ML-DSA-87' } },
} as const satisfies Record<string, SignatureMethod>

interface SignatureMethod {
  readonly kty: 'RSA' | 'EC' | 'OKP' | 'AKP'
  readonly scheme: {
    readonly name: string
    readonly hash?: string
    readonly saltLength?: number
    readonly namedCurve?: string
  }
}

/** A JWS `alg` with which a ring can sign. */
export type SignatureAlgorithm = keyof typeof SIGNATURE_ALGORITHMS

/** Algorithm of the cookie ring, whose keys are secrets of 256 bits for HMAC SHA-256. */
export const COOKIE_ALGORITHM = 'HS256'

/** Key types that every RP knows (RFC 7518, section 6.1); others came with later standards. */
export const COMMON_KEY_TYPES: readonly (string | undefined)[] = ['RSA', 'EC']

/**
 * Size of RS and PS keys: NIST SP 800-57 part 1 allows 2048 bits until 2030, and 4096 bits sign 20
 * times slower.
 */
export const RSA_BITS = 2048

/** True if a ring can sign with the algorithm. @param name a JWS `alg` */
export function isSignatureAlgorithm(name: string): name is SignatureAlgorithm {
  return Object.hasOwn(SIGNATURE_ALGORITHMS, name)
}
