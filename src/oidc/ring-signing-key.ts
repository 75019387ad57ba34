import { type KeyObject, subtle, type webcrypto } from 'node:crypto'
import { ExternalSigningKey } from 'oidc-provider'
import { NoActiveKey } from '../errors.ts'
import type { Phase } from '../ring/lifecycle.ts'
import type { Authorize } from '../ring/may-sign.ts'
import type { SignatureAlgorithm } from '../ring/policy.ts'
import type { RingKey } from '../ring/seal.ts'
import { asOutage } from './outage.ts'

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
  readonly #authorize: Authorize
  #signingKey: webcrypto.CryptoKey | undefined

  constructor(key: RingKey, phase: Phase, authorize: Authorize) {
    super()
    this.#key = key
    this.isActive = phase === 'active'
    this.#authorize = authorize
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

  /** @param data signing input of a compact JWS (RFC 7515, section 5.1) @throws Outage, NoActiveKey */
  override async sign(data: Uint8Array): Promise<Uint8Array> {
    const { kid, ring, algorithm, privateKey } = this.#key
    if (!this.isActive || !privateKey) throw new NoActiveKey(ring)
    try {
      const recording = this.#authorize(kid, expiryOf(data))
      if (recording) await recording
    } catch (error) {
      throw asOutage(error)
    }
    // Opening the key has shown that it is one: nothing else is sealed for a signing ring.
    const scheme = SIGN[algorithm as SignatureAlgorithm]
    // WebCrypto costs the main thread half of what node:crypto's sign does with a KeyObject.
    this.#signingKey ??= privateKey.toCryptoKey(scheme, false, ['sign'])
    return new Uint8Array(await subtle.sign(scheme, this.#signingKey, data))
  }
}

/** `exp` of what is signed, if that is a JWT and has one. */
function expiryOf(data: Uint8Array): number | undefined {
  const text = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  const payload = text.subarray(text.indexOf('.') + 1).toString('latin1')
  try {
    const { exp } = JSON.parse(Buffer.from(payload, 'base64url').toString())
    return typeof exp === 'number' ? exp : undefined
  } catch {
    return undefined
  }
}
