import type { KeyObject } from 'node:crypto'
import { ExternalSigningKey } from 'oidc-provider'
import { NoActiveKey } from '../errors.ts'
import type { Phase } from '../ring/lifecycle.ts'
import type { Authorize } from '../ring/may-sign.ts'
import type { RingKey } from '../ring/ring-key.ts'
import { asOutage } from './outage.ts'

/**
 * A key of a ring as oidc-provider sees it. Only the active key offers to sign; all others,
 * including those without a private half, have `key_ops: ["verify"]`, so oidc-provider does not
 * choose them for signing. The signer signs, so this class has no private key.
 */
export class RingSigningKey extends ExternalSigningKey {
  readonly isActive: boolean
  readonly #key: RingKey
  readonly #authorize: Authorize

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

  /** @param data signing input of a compact JWS (RFC 7515, 5.1) @throws Outage, NoActiveKey */
  override async sign(data: Uint8Array): Promise<Uint8Array> {
    const { kid, ring, signer } = this.#key
    if (!this.isActive || !signer) throw new NoActiveKey(ring)
    try {
      const recording = this.#authorize(kid, expiryOf(data))
      if (recording) await recording
    } catch (error) {
      throw asOutage(error)
    }
    return signer.sign(data)
  }
}

/** `exp` of the signed content, if the content is a JWT that has one. */
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
