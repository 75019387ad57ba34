import { Refused } from '../errors.ts'
import type { RingName } from '../ring/key.ts'
import type { RingPolicy, RotationPolicies } from '../ring/policy.ts'
import { duration } from './story.ts'

/**
 * Decides for how long rings must be simulated, and refuses what takes too much time or memory. A
 * ring gets the same verdict after a few cryptoperiods as after thousands, because nothing new
 * happens. Pure.
 */

/** Rings that are simulated together. */
export interface Part {
  readonly rings: readonly RingName[]
  /** Seconds from a first start. */
  readonly horizon: number
}

export interface HorizonOptions {
  readonly nodes: number
  /** Requested seconds; undefined for as long as the rings need. */
  readonly horizon?: number | undefined
  /** Seconds for which nodes, caches and fetches can hide a change. */
  readonly hiding: number
}

const YEAR = 365 * 86_400

/**
 * Most key switches × nodes of a part, which take some 15 s and 500 MB. Time and memory grow with
 * both factors; 50 nodes are the default of the command.
 */
const MOST_WORK = 50 * 400

/** Fewest nodes of a simulation. */
export const LEAST_NODES = 10

/**
 * Simulates all rings together for a year if possible; otherwise each published ring by itself and
 * for as long as it needs, because rings with very different cryptoperiods have no common horizon.
 * @throws Refused, with the numbers, if that is more than can be simulated
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

/** The policies with the rings of a part only. */
export function onlyRings(policies: RotationPolicies, { rings }: Part): RotationPolicies {
  return { ...policies, rings: policies.rings.filter(({ ring }) => rings.includes(ring)) }
}

/**
 * Seconds in which every kind of event happens to a ring: keys that take over as planned, orders of
 * `usualOrders` (at 0.3 and 0.75 of it, five in all, each after one propagation), and keys that
 * leave.
 */
function enoughFor({ cryptoperiod, propagation, retention }: RingPolicy, hiding: number): number {
  const orders = 10 * (propagation + hiding) + 4 * retention
  return Math.max(5 * cryptoperiod, orders)
}

/** Approximate number of key switches. */
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
      ? [`leave the time out: ${duration(enough)} are enough for all that can happen to the ring`]
      : []),
    ...(count * LEAST_NODES <= MOST_WORK ? ['simulate fewer nodes'] : []),
  ]
  return new Refused(
    'simulation_too_large',
    { ring },
    `Ring ${ring} turns every ${duration(cryptoperiod)}, so that keys switch ${number(count)} times ` +
      `in ${duration(horizon)}. With ${number(nodes)} nodes at most ${number(most)} ` +
      `switches can be simulated in reasonable time and memory: ${ways.join(', or ') || 'choose a longer cryptoperiod'}.`,
  )
}
