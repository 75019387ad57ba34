import type { RingName } from './key.ts'

/**
 * How the keys of one ring turn. All durations are seconds. `bounds.ts` ties these numbers to each
 * other and to token lifetimes: a configuration that breaks a bound is refused when it is read, and
 * `safePolicies` makes no policies that do, so what turns rings is safe.
 */
export interface RingPolicy {
  readonly ring: RingName
  /** JWS `alg` of the keys. */
  readonly algorithm: string
  /** Named in the configuration? A ring that is not (any more) is kept and published, never turned. */
  readonly configured: boolean
  /** Published in the JWKS? A cookie ring is not. */
  readonly published: boolean
  /** How long a key is meant to sign (NIST SP 800-57 part 1, section 5.3). */
  readonly cryptoperiod: number
  /** How long a key is published before it signs. */
  readonly propagation: number
  /** How long a retired key stays published: at least the longest token lifetime + 2 x clockSkew. */
  readonly retention: number
  /** How long the public half is kept for `id_token_hint` after it left the JWKS. */
  readonly archive: number
  /** Keep a successor published from the moment its predecessor becomes active. */
  readonly standby: boolean
  /** Makes and switches nothing by itself: an operator adds each key and says when it signs. */
  readonly manual?: boolean
  /** Oldest ring a node may still sign from. */
  readonly maxRingAge: number
  /** Largest difference between a node's clock and true time. */
  readonly clockSkew: number
}

/** Public keys in one JWKS. RPs keep about 5 per issuer; load balancers refuse sets above 10. */
export const PUBLISHED_KEYS_WARN = 5
export const PUBLISHED_KEYS_MAX = 10
/** Bytes of one JWKS; Nimbus (JVM) refuses more. */
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
