import { constants, type KeyObject, type SignKeyObjectInput, sign } from 'node:crypto'
import { promisify } from 'node:util'
import { ExternalSigningKey } from 'oidc-provider'
import { NoActiveKey, RingStale } from '../errors.ts'
import type { Phase } from '../keys/lifecycle.ts'
import type { SignatureAlgorithm } from '../keys/policy.ts'
import type { RingKey } from '../keys/seal.ts'

const signAsync = promisify(sign)

/** How node:crypto spells a JWS algorithm (RFC 7518, section 3.1; RFC 8037; RFC 9964). */
const SIGN: Record<SignatureAlgorithm, readonly [string | null, Partial<SignKeyObjectInput>]> = {
  RS256: ['sha256', {}],
  RS384: ['sha384', {}],
  RS512: ['sha512', {}],
  PS256: ['sha256', pss(32)],
  PS384: ['sha384', pss(48)],
  PS512: ['sha512', pss(64)],
  ES256: ['sha256', { dsaEncoding: 'ieee-p1363' }],
  ES384: ['sha384', { dsaEncoding: 'ieee-p1363' }],
  ES512: ['sha512', { dsaEncoding: 'ieee-p1363' }],
  Ed25519: [null, {}],
  EdDSA: [null, {}],
  'ML-DSA-44': [null, {}],
  'ML-DSA-65': [null, {}],
  'ML-DSA-87': [null, {}],
}

function pss(saltLength: number): Partial<SignKeyObjectInput> {
  return { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }
}

/**
 * A key of a ring as oidc-provider sees it. Only the active key offers to sign; all others, those
 * without a private half included, say `key_ops: ["verify"]` and are passed over. The private half
 * never becomes a JWK again once it is open.
 */
export class RingSigningKey extends ExternalSigningKey {
  readonly isActive: boolean
  readonly #key: RingKey
  readonly #isFresh: () => boolean

  /**
   * @param isFresh may this node sign, or is its ring older than `maxRingAge`?
   */
  constructor(key: RingKey, phase: Phase, isFresh: () => boolean) {
    super()
    this.#key = key
    this.isActive = phase === 'active'
    this.#isFresh = isFresh
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
  override async sign(data: Uint8Array): Promise<Buffer> {
    const { ring, algorithm, privateKey } = this.#key
    if (!this.isActive || !privateKey) throw new NoActiveKey(ring)
    if (!this.#isFresh()) throw new RingStale(`Ring ${ring} is too old to sign with.`)
    const [digest, options] = SIGN[algorithm as SignatureAlgorithm]
    return signAsync(digest, data, { key: privateKey, ...options })
  }
}
