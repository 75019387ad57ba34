import type { RingName } from './key.ts'

/**
 * Policy by which the keys of one ring turn. All durations are seconds. `bounds.ts` ties these
 * numbers to each other and to token lifetimes: the configuration refuses a policy that breaks a
 * bound, and `safePolicies` makes none.
 */
export interface RingPolicy {
  readonly ring: RingName
  /** JWS `alg` of the keys. */
  readonly algorithm: string
  /**
   * True for a ring of the configuration. Any other ring is kept and published, but never turned.
   */
  readonly configured: boolean
  /** True if the keys are in the JWKS; false for the cookie ring. */
  readonly published: boolean
  /** Time for which a key is meant to sign (NIST SP 800-57 part 1, section 5.3). */
  readonly cryptoperiod: number
  /** Time for which a key is published before it signs. */
  readonly propagation: number
  /**
   * Time for which a retired key stays published: at least the longest token lifetime + 2 x
   * clockSkew.
   */
  readonly retention: number
  /** Time for which the public half is kept for `id_token_hint` after it has left the JWKS. */
  readonly archive: number
  /** True to keep a successor published from the moment its predecessor becomes active. */
  readonly standby: boolean
  /**
   * True if the ring makes and switches no key by itself: an operator adds each key and says when
   * it signs.
   */
  readonly manual?: boolean
  /** Largest age of a loaded ring from which a node may still sign. */
  readonly maxRingAge: number
  /** Largest difference between a node's clock and true time. */
  readonly clockSkew: number
}

/**
 * Limits of public keys in one JWKS: RPs keep about 5 per issuer; load balancers refuse sets above
 * 10.
 */
export const PUBLISHED_KEYS_WARN = 5
export const PUBLISHED_KEYS_MAX = 10
/** Largest size of one JWKS in bytes, because Nimbus (JVM) refuses more. */
export const JWKS_BYTES_MAX = 50 * 1024

/** The ring whose keys sign Keyturn's own cookies (HMAC SHA-256). */
export const COOKIE_RING: RingName = 'cookie'

/** `sig/RS256` for RS256. */
export function signatureRing(algorithm: string): RingName {
  return `sig/${algorithm}`
}

/** The policies of all configured rings, and one for any other ring found in the store. */
export interface RotationPolicies {
  readonly rings: readonly RingPolicy[]
  policyFor(ring: RingName): RingPolicy
}
