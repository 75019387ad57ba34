import type { Violation } from '../errors.ts'
import { PUBLISHED_KEYS_MAX, type RingPolicy } from '../ring/policy.ts'
import { formatDuration } from '../values/duration.ts'
import { ringSetting, rotationPolicies } from './policies.ts'
import type { Settings } from './schema.ts'

/**
 * How many keys the JWKS holds when rings turn as planned: relying parties keep about 5 of an
 * issuer, and load balancers refuse sets above 10.
 */

/** How many keys are published at any time, not only for a while after a switch. */
export function leastPublishedKeys(settings: Settings): number {
  const least = ({ cryptoperiod, retention, ...policy }: RingPolicy) =>
    1 + Math.floor((waiting({ cryptoperiod, ...policy }) + retention) / cryptoperiod)
  return publishedRings(settings).reduce((sum, policy) => sum + least(policy), 0)
}

/** No more keys than RPs and load balancers accept. */
export function publishedKeysBound(settings: Settings): readonly Violation[] {
  const rings = publishedRings(settings)
  const count = total(rings)
  if (count <= PUBLISHED_KEYS_MAX) return []
  const counts = rings.map((policy) => `${policy.ring}: ${mostPublished(policy)}`)
  const message =
    `up to ${count} keys would be published at once (${counts.join(', ')}); RPs and load balancers ` +
    `accept ${PUBLISHED_KEYS_MAX}`
  return [
    {
      path: 'rotation.rings',
      value: count,
      rule: 'published-keys',
      message,
      fix: fix(settings, rings),
    },
  ]
}

/**
 * A key is published while it waits (from its predecessor's activation, with a standby), signs and
 * is retained; keys follow each other by one cryptoperiod. With a standby this is 1 active,
 * 1 standby and retention / cryptoperiod retired keys.
 */
function mostPublished(policy: RingPolicy): number {
  return 1 + Math.ceil((waiting(policy) + policy.retention) / policy.cryptoperiod)
}

function waiting({
  standby,
  cryptoperiod,
  propagation,
}: Pick<RingPolicy, 'standby' | 'cryptoperiod' | 'propagation'>): number {
  return standby ? cryptoperiod : propagation
}

/** The worst ring is mended by a longer cryptoperiod, together with those that share the setting. */
function fix(settings: Settings, rings: readonly RingPolicy[]): string {
  const pathOf = ({ ring }: RingPolicy) => ringSetting(settings, ring, 'cryptoperiod').path
  const worst = rings.reduce((a, b) => (mostPublished(b) > mostPublished(a) ? b : a))
  const path = pathOf(worst)
  const others = rings.filter((policy) => pathOf(policy) !== path)
  const sharing = rings.filter((policy) => pathOf(policy) === path)
  const each = Math.floor((PUBLISHED_KEYS_MAX - total(others)) / sharing.length)
  const cryptoperiod = Math.max(...sharing.map((policy) => leastCryptoperiod(policy, each)))
  if (!Number.isFinite(cryptoperiod)) return 'remove a ring from rotation.rings'
  const retention = ringSetting(settings, worst.ring, 'retention').path
  return `set ${path} to at least ${formatDuration(cryptoperiod)}, or shorten ${retention}`
}

/** Seconds; infinite where no cryptoperiod is long enough. */
function leastCryptoperiod({ standby, propagation, retention }: RingPolicy, keys: number): number {
  const rooms = standby ? keys - 2 : keys - 1
  if (rooms < 1) return Number.POSITIVE_INFINITY
  return Math.ceil((standby ? retention : propagation + retention) / rooms)
}

function publishedRings(settings: Settings): readonly RingPolicy[] {
  return rotationPolicies(settings).rings.filter((policy) => policy.published)
}

function total(rings: readonly RingPolicy[]): number {
  return rings.reduce((sum, policy) => sum + mostPublished(policy), 0)
}
