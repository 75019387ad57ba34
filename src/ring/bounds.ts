import { PolicyUnsafe } from '../errors.ts'
import { formatDuration as text } from '../values/duration-text.ts'
import type { RingName } from './key.ts'
import { PUBLISHED_KEYS_MAX, type RingPolicy, type RotationPolicies } from './policy.ts'

/**
 * The inequalities that make rotation safe, as functions of policies, of how long the JWKS may be
 * cached, and of how long tokens are valid. Pure. The configuration says them in its own settings
 * (`config/bounds.ts`); other callers get safe policies from `safePolicies`. All durations are
 * seconds.
 */

/** Caches and tokens that the keys of a ring must outlast. */
export interface Surroundings {
  /** How long RPs and caches may keep the JWKS at most. */
  readonly jwksMaxAge: number
  /** The longest lifetime among everything that the keys of the ring sign. */
  readonly longest: Lifetime
}

export interface Lifetime {
  /** The setting or the kind of token, for messages. */
  readonly name: string
  readonly lifetime: number
  /**
   * How long after its expiry a token may be accepted, beyond what the clock skew covers. Default
   * 0.
   */
  readonly tolerance?: number
}

/** A bound that a policy breaks. */
export interface BrokenBound {
  readonly bound: 'propagation' | 'retention' | 'cryptoperiod' | 'published-keys'
  /** The ring; for `published-keys` the ring that publishes most keys. */
  readonly ring: RingName
  /** Value of the policy: seconds, or a number of keys. */
  readonly value: number
  /**
   * The smallest value allowed; for `published-keys` the largest. A cryptoperiod must exceed the
   * limit.
   */
  readonly limit: number
  /** Description of the problem, with the numbers. */
  readonly message: string
}

/**
 * The bounds that the policy of one ring breaks.
 *
 * - propagation >= maxRingAge + jwksMaxAge + 2 x clockSkew, because the stalest node may serve a
 *   JWKS without the new key, which an RP may then keep for jwksMaxAge. No cache has the keys of an
 *   unpublished ring.
 * - retention >= longest lifetime + tolerance + 2 x clockSkew, because a key signs until its last
 *   second.
 * - cryptoperiod > propagation, because otherwise a key retires before its successor may sign.
 */
export function brokenBoundsOf(policy: RingPolicy, around: Surroundings): readonly BrokenBound[] {
  return [propagation(policy, around), retention(policy, around), cryptoperiod(policy)].flatMap(
    (broken) => broken ?? [],
  )
}

/** The bound that is broken if the JWKS has more keys than RPs and load balancers accept. */
export function brokenPublishedKeys(policies: readonly RingPolicy[]): BrokenBound | undefined {
  const rings = policies.filter(({ published }) => published)
  const value = rings.reduce((sum, policy) => sum + mostPublished(policy), 0)
  if (value <= PUBLISHED_KEYS_MAX) return undefined
  const counts = rings.map((policy) => `${policy.ring}: ${mostPublished(policy)}`)
  const worst = rings.reduce((a, b) => (mostPublished(b) > mostPublished(a) ? b : a))
  const message =
    `up to ${value} keys would be published at once (${counts.join(', ')}); RPs and load balancers ` +
    `accept ${PUBLISHED_KEYS_MAX}`
  return { bound: 'published-keys', ring: worst.ring, value, limit: PUBLISHED_KEYS_MAX, message }
}

/** True if two refreshes fit into the age that a ring may have, so that one may fail. */
export function isRefreshOftenEnough(refreshInterval: number, maxRingAge: number): boolean {
  return 2 * refreshInterval <= maxRingAge
}

/**
 * The largest number of published keys of the ring, reached for a while after a switch. A key is
 * published while it waits (with a standby: from its predecessor's activation), signs and is
 * retained, and keys follow each other by one cryptoperiod. With a standby the number is 1 active,
 * 1 standby and retention / cryptoperiod retired keys.
 */
export function mostPublished(policy: RingPolicy): number {
  return 1 + Math.ceil((waiting(policy) + policy.retention) / policy.cryptoperiod)
}

/** The smallest number of published keys of the ring at any time. */
export function leastPublished(policy: RingPolicy): number {
  return 1 + Math.floor((waiting(policy) + policy.retention) / policy.cryptoperiod)
}

/**
 * The shortest cryptoperiod with which the ring publishes at most `keys` keys.
 * @returns seconds; infinite if no cryptoperiod is long enough
 */
export function leastCryptoperiod(
  { standby, propagation: delay, retention: kept }: RingPolicy,
  keys: number,
): number {
  const rooms = standby ? keys - 2 : keys - 1
  if (rooms < 1) return Number.POSITIVE_INFINITY
  return Math.ceil((standby ? kept : delay + kept) / rooms)
}

/**
 * Policies that keep every bound: a token that a process signs under them verifies until it expires
 * at every RP that follows HTTP caching.
 * @param aroundOf caches and tokens that a ring must outlast
 * @param otherwise the policy of a ring that is in the store and not among `rings`; such a ring is
 * never turned
 * @throws PolicyUnsafe with every broken bound
 */
export function safePolicies(
  rings: readonly RingPolicy[],
  aroundOf: (policy: RingPolicy) => Surroundings,
  otherwise: (ring: RingName) => RingPolicy,
): RotationPolicies {
  const broken = [
    ...rings.flatMap((policy) => brokenBoundsOf(policy, aroundOf(policy))),
    ...[brokenPublishedKeys(rings)].flatMap((each) => each ?? []),
  ]
  if (broken.length > 0) throw new PolicyUnsafe(broken)
  return {
    rings,
    policyFor: (name) => rings.find(({ ring }) => ring === name) ?? otherwise(name),
  }
}

function propagation(policy: RingPolicy, { jwksMaxAge }: Surroundings): BrokenBound | undefined {
  const { ring, propagation: value, maxRingAge, clockSkew, published } = policy
  const limit = maxRingAge + (published ? jwksMaxAge : 0) + 2 * clockSkew
  if (value >= limit) return undefined
  const cached = published ? ` + jwksMaxAge ${text(jwksMaxAge)}` : ''
  const late = published
    ? 'relying parties may hold a JWKS without it'
    : 'nodes may not have loaded it'
  const message =
    `a new key of ring ${ring} would sign after ${text(value)}, but ${late} for ` +
    `${text(limit)} (maxRingAge ${text(maxRingAge)}${cached} + 2 x clockSkew ${text(clockSkew)})`
  return { bound: 'propagation', ring, value, limit, message }
}

function retention(policy: RingPolicy, { longest }: Surroundings): BrokenBound | undefined {
  const { ring, retention: value, clockSkew } = policy
  const { name, lifetime, tolerance = 0 } = longest
  const limit = lifetime + tolerance + 2 * clockSkew
  if (value >= limit) return undefined
  const more = tolerance > 0 ? ` + tokens.clockTolerance beyond clockSkew ${text(tolerance)}` : ''
  const message =
    `a retired key of ring ${ring} would be kept for ${text(value)}, but what it ` +
    `signed may be valid for ${text(limit)} (${name} ${text(lifetime)}${more} + 2 x ` +
    `clockSkew ${text(clockSkew)})`
  return { bound: 'retention', ring, value, limit, message }
}

function cryptoperiod(policy: RingPolicy): BrokenBound | undefined {
  const { ring, cryptoperiod: value, propagation: limit } = policy
  if (value > limit) return undefined
  const message =
    `a key of ring ${ring} would sign for ${text(value)}, but its successor must be ` +
    `published for ${text(limit)} before it takes over (propagation)`
  return { bound: 'cryptoperiod', ring, value, limit, message }
}

function waiting(policy: RingPolicy): number {
  return policy.standby ? policy.cryptoperiod : policy.propagation
}
