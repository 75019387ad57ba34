import { Refused } from '../errors.ts'
import type { RingName } from '../ring/key.ts'
import type { RingPolicy, RotationPolicies } from '../ring/policy.ts'
import { duration } from './story.ts'

/**
 * For how long rings must be simulated, and how much of that is too much. A ring comes to the same
 * verdict after a few cryptoperiods as after thousands, since nothing new happens in it. Pure.
 */

/** Rings that are simulated together. */
export interface Part {
  readonly rings: readonly RingName[]
  /** Seconds from a first start. */
  readonly horizon: number
}

export interface HorizonOptions {
  readonly nodes: number
  /** Seconds that somebody asked for; undefined for as long as the rings need. */
  readonly horizon?: number | undefined
  /** How long nodes, caches and fetches can hide a change, in seconds. */
  readonly hiding: number
}

const YEAR = 365 * 86_400

/**
 * Most switches of keys times nodes in a part: some 15 s and 500 MB. Time and memory grow with both,
 * 50 nodes being the default of the command.
 */
const MOST_WORK = 50 * 400

/**
 * All rings together, for a year, where that can be had; otherwise each published ring by itself and
 * for as long as it needs, as rings that turn at very different paces have no horizon in common.
 * @throws Refused, with the numbers, where that is more than can be simulated
 */
export function partsOf(
  policies: RotationPolicies,
  { nodes, hiding, horizon }: HorizonOptions,
): readonly Part[] {
  const enough = Math.max(...published(policies).map((policy) => enoughFor(policy, hiding)))
  const together = horizon ?? Math.max(YEAR, enough)
  if (switches(policies.rings, together) * nodes <= MOST_WORK) {
    return [{ rings: policies.rings.map(({ ring }) => ring), horizon: together }]
  }
  return published(policies).map((policy) => {
    const own = horizon ?? enoughFor(policy, hiding)
    const count = Math.ceil(switches([policy], own))
    if (count * nodes > MOST_WORK) throw tooMuch(policy, { nodes, hiding, horizon: own }, count)
    return { rings: [policy.ring], horizon: own }
  })
}

/** Of a policy the rings of a part alone. */
export function onlyRings(policies: RotationPolicies, { rings }: Part): RotationPolicies {
  return { ...policies, rings: policies.rings.filter(({ ring }) => rings.includes(ring)) }
}

/**
 * Seconds in which everything happens to a ring that can: keys that take over as planned, orders of
 * `usualOrders` (at 0.3 and 0.75 of it, five in all, each after one propagation), and keys that leave.
 */
function enoughFor({ cryptoperiod, propagation, retention }: RingPolicy, hiding: number): number {
  const orders = 10 * (propagation + hiding) + 4 * retention
  return Math.max(5 * cryptoperiod, orders)
}

/** How often keys take over, about. */
function switches(rings: readonly RingPolicy[], horizon: number): number {
  return rings.reduce((sum, { cryptoperiod }) => sum + horizon / cryptoperiod, 0)
}

function published({ rings }: RotationPolicies): readonly RingPolicy[] {
  return rings.filter((policy) => policy.published)
}

function tooMuch(
  policy: RingPolicy,
  { nodes, hiding, horizon = 0 }: HorizonOptions,
  count: number,
): Refused {
  const { ring, cryptoperiod } = policy
  const most = Math.floor(MOST_WORK / nodes)
  const number = (value: number) => value.toLocaleString('en')
  const enough = enoughFor(policy, hiding)
  const needed = Math.ceil(switches([policy], enough))
  const ways = [
    ...(needed * nodes <= MOST_WORK && enough < horizon
      ? [`leave the time out: ${duration(enough)} show all that can happen to the ring`]
      : []),
    ...(nodes > 10 && most < count ? ['simulate fewer nodes'] : []),
  ]
  return new Refused(
    'simulation_too_large',
    { ring },
    `Ring ${ring} turns every ${duration(cryptoperiod)}, so that keys switch ${number(count)} times ` +
      `in ${duration(horizon)}. With ${number(nodes)} nodes at most ${number(most)} ` +
      `switches can be simulated in reasonable time and memory: ${ways.join(', or ') || 'choose a longer cryptoperiod'}.`,
  )
}
