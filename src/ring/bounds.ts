import { PolicyUnsafe } from '../errors.ts'
import { formatDuration as text } from '../values/duration-text.ts'
import type { RingName } from './key.ts'
import { PUBLISHED_KEYS_MAX, type RingPolicy, type RotationPolicies } from './policy.ts'

/**
 * The inequalities that make rotation safe, as functions of policies, of how long the JWKS may be kept,
 * and of how long what the keys sign is valid. Pure. The configuration words them in its own settings
 * (`config/bounds.ts`); whoever makes policies by himself gets them from `safePolicies`. All durations
 * are seconds.
 */

/** What a ring must outlast. */
export interface Surroundings {
  /** How long RPs and caches may keep the JWKS at most. */
  readonly jwksMaxAge: number
  /** What the keys of the ring sign that lives longest. */
  readonly longest: Lifetime
}

export interface Lifetime {
  /** For messages: the setting or the kind of token. */
  readonly name: string
  readonly lifetime: number
  /** How long after its end somebody may accept it, beyond what the clock skew covers; 0 unless told. */
  readonly tolerance?: number
}

/** A bound that a policy breaks. */
export interface BrokenBound {
  readonly bound: 'propagation' | 'retention' | 'cryptoperiod' | 'published-keys'
  /** The ring; for `published-keys` the one that publishes most. */
  readonly ring: RingName
  /** What the policy has: seconds, or a number of keys. */
  readonly value: number
  /** The least that would do, the most for `published-keys`; a cryptoperiod must be longer than it. */
  readonly limit: number
  /** What goes wrong, in words, with the numbers. */
  readonly message: string
}

/**
 * The bounds that the policy of one ring breaks.
 *
 * - propagation >= maxRingAge + jwksMaxAge + 2 x clockSkew: the stalest node may serve a JWKS without
 *   the new key, and an RP may keep that for jwksMaxAge. A ring that is not published is in no cache.
 * - retention >= longest lifetime + tolerance + 2 x clockSkew: a key signs until its last second.
 * - cryptoperiod > propagation: otherwise a key retires before its successor may sign.
 */
export function brokenBoundsOf(policy: RingPolicy, around: Surroundings): readonly BrokenBound[] {
  return [propagation(policy, around), retention(policy, around), cryptoperiod(policy)].flatMap(
    (broken) => broken ?? [],
  )
}

/** No more keys in the JWKS than RPs and load balancers accept; undefined where it holds. */
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

/** One failed refresh must not be an outage: two of them fit into the age that a ring may have. */
export function isRefreshOftenEnough(refreshInterval: number, maxRingAge: number): boolean {
  return 2 * refreshInterval <= maxRingAge
}

/**
 * How many keys of the ring are published at most, for a while after a switch. A key is published while
 * it waits (from its predecessor's activation, with a standby), signs and is retained; keys follow each
 * other by one cryptoperiod. With a standby this is 1 active, 1 standby and retention / cryptoperiod
 * retired keys.
 */
export function mostPublished(policy: RingPolicy): number {
  return 1 + Math.ceil((waiting(policy) + policy.retention) / policy.cryptoperiod)
}

/** How many keys of the ring are published at any time. */
export function leastPublished(policy: RingPolicy): number {
  return 1 + Math.floor((waiting(policy) + policy.retention) / policy.cryptoperiod)
}

/**
 * The shortest cryptoperiod with which the ring publishes no more than so many keys.
 * @returns seconds; infinite where no cryptoperiod is long enough
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
 * Policies that are safe. Where a process turns rings by such a value, a token that it signed verifies
 * at every RP that follows HTTP caching until the token expires.
 * @param aroundOf what a ring must outlast
 * @param otherwise the policy of a ring that is found in the store and not among these; it is never turned
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
