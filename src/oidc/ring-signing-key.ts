import { type KeyObject, subtle, type webcrypto } from 'node:crypto'
import { ExternalSigningKey } from 'oidc-provider'
import { NoActiveKey, RingStale } from '../errors.ts'
import type { Phase } from '../keys/lifecycle.ts'
import type { SignatureAlgorithm } from '../keys/policy.ts'
import type { RingKey } from '../keys/seal.ts'

/** How WebCrypto spells a JWS algorithm (RFC 7518, section 3.1; RFC 8037; RFC 9964). */
const SIGN = {
  RS256: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
  RS384: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-384' },
  RS512: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-512' },
  PS256: { name: 'RSA-PSS', hash: 'SHA-256', saltLength: 32 },
  PS384: { name: 'RSA-PSS', hash: 'SHA-384', saltLength: 48 },
  PS512: { name: 'RSA-PSS', hash: 'SHA-512', saltLength: 64 },
  ES256: { name: 'ECDSA', hash: 'SHA-256', namedCurve: 'P-256' },
  ES384: { name: 'ECDSA', hash: 'SHA-384', namedCurve: 'P-384' },
  ES512: { name: 'ECDSA', hash: 'SHA-512', namedCurve: 'P-521' },
  Ed25519: { name: 'Ed25519' },
  EdDSA: { name: 'Ed25519' },
  'ML-DSA-44': { name: 'ML-DSA-44' },
  'ML-DSA-65': { name: 'ML-DSA-65' },
  'ML-DSA-87': { name: 'ML-DSA-87' },
} as const satisfies Record<SignatureAlgorithm, object>

/**
 * A key of a ring as oidc-provider sees it. Only the active key offers to sign; all others, those
 * without a private half included, say `key_ops: ["verify"]` and are passed over. The private half
 * never becomes a JWK again once it is open.
 */
export class RingSigningKey extends ExternalSigningKey {
  readonly isActive: boolean
  readonly #key: RingKey
  readonly #maySign: (kid: string) => boolean
  #signingKey: webcrypto.CryptoKey | undefined

  /**
   * @param maySign asked at each signature: is the ring fresh, and the key neither revoked nor spent?
   */
  constructor(key: RingKey, phase: Phase, maySign: (kid: string) => boolean) {
    super()
    this.#key = key
    this.isActive = phase === 'active'
    this.#maySign = maySign
  }

  override get kid(): string {
    return this.#key.kid
  }

  override get alg(): string {
    return this.#key.algorithm
  }

  override get key_ops(): string[] | undefined {
    return this.isActive ? undefined : ['verify']
  }

  override keyObject(): KeyObject {
    const { kid, publicKey } = this.#key
    if (!publicKey) throw new TypeError(`key ${kid} is closed`)
    return publicKey
  }

  /** @throws RingStale, NoActiveKey */
  override async sign(data: Uint8Array): Promise<Uint8Array> {
    const { kid, ring, algorithm, privateKey } = this.#key
    if (!this.isActive || !privateKey) throw new NoActiveKey(ring)
    if (!this.#maySign(kid)) {
      throw new RingStale(
        `Key ${kid} of ring ${ring} may not sign any more: revoked, spent or stale.`,
      )
    }
    // Opening the key has shown that it is one: nothing else is sealed for a signing ring.
    const scheme = SIGN[algorithm as SignatureAlgorithm]
    // WebCrypto costs the main thread half of what node:crypto's sign does with a KeyObject.
    this.#signingKey ??= privateKey.toCryptoKey(scheme, false, ['sign'])
    return new Uint8Array(await subtle.sign(scheme, this.#signingKey, data))
  }
}
