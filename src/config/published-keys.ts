import type { Violation } from '../errors.ts'
import {
  brokenPublishedKeys,
  leastCryptoperiod,
  leastPublished,
  mostPublished,
} from '../ring/bounds.ts'
import { PUBLISHED_KEYS_MAX, type RingPolicy } from '../ring/policy.ts'
import { formatDuration } from '../values/duration-text.ts'
import { ringSetting, rotationPolicies } from './policies.ts'
import type { Settings } from './schema.ts'

/**
 * The number of keys in the JWKS when rings turn as planned: relying parties keep about 5 of an
 * issuer, and load balancers refuse sets above 10.
 */

/** The number of keys published at all times, not only for a while after a switch. */
export function leastPublishedKeys(settings: Settings): number {
  return publishedRings(settings).reduce((sum, policy) => sum + leastPublished(policy), 0)
}

/** The violation if the JWKS would have more keys than RPs and load balancers accept. */
export function publishedKeysBound(settings: Settings): readonly Violation[] {
  const rings = publishedRings(settings)
  const broken = brokenPublishedKeys(rings)
  if (!broken) return []
  const { bound: rule, ring, value, message } = broken
  return [{ path: 'rotation.rings', value, rule, message, fix: fix(settings, rings, ring) }]
}

/** Mends the worst ring by a longer cryptoperiod, together with rings that share the setting. */
function fix(settings: Settings, rings: readonly RingPolicy[], worst: string): string {
  const pathOf = (ring: string) => ringSetting(settings, ring, 'cryptoperiod').path
  const path = pathOf(worst)
  const others = rings.filter(({ ring }) => pathOf(ring) !== path)
  const sharing = rings.filter(({ ring }) => pathOf(ring) === path)
  const taken = others.reduce((sum, policy) => sum + mostPublished(policy), 0)
  const each = Math.floor((PUBLISHED_KEYS_MAX - taken) / sharing.length)
  const cryptoperiod = Math.max(...sharing.map((policy) => leastCryptoperiod(policy, each)))
  if (!Number.isFinite(cryptoperiod)) return 'remove a ring from rotation.rings'
  const retention = ringSetting(settings, worst, 'retention').path
  return `set ${path} to at least ${formatDuration(cryptoperiod)}, or shorten ${retention}`
}

function publishedRings(settings: Settings): readonly RingPolicy[] {
  return rotationPolicies(settings).rings.filter((policy) => policy.published)
}
