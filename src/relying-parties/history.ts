import { Refused } from '../errors.ts'
import { type Action, assume } from '../ring/action.ts'
import type { KeyFacts, RingName } from '../ring/key.ts'
import { activeKey, nextChangeAt, type RingFacts, ringStates } from '../ring/lifecycle.ts'
import { orderRevocation, orderRotation } from '../ring/orders.ts'
import { plan } from '../ring/plan.ts'
import type { RotationPolicies } from '../ring/policy.ts'

/**
 * Simulates the content of the key store from a first start on: follows the real core's plan from
 * change to change, with orders of operators in between. Pure.
 */

/** Content of the store from an instant of true time until the next version. */
export interface Version {
  readonly at: number
  readonly facts: RingFacts
}

export interface Order {
  readonly do: 'rotate' | 'revoke'
  readonly ring: RingName
  /** The order is given at the first instant from then on at which RPs know the next key. */
  readonly after: number
  /** True if the order is given before that instant, so that every node knows it in advance. */
  readonly ahead?: boolean
}

export interface HistoryOptions {
  /** Seconds since the epoch, true time. */
  readonly start: number
  readonly until: number
  /** Orders for one ring, in order of time; those for other rings may stand in between. */
  readonly orders: readonly Order[]
  /**
   * Offset of the clock that stamps new keys from true time. A slow clock is the worst case,
   * because its keys sign earlier.
   */
  readonly makerOffset: number
  /** Offset of the clock that stamps orders from true time. */
  readonly orderOffset: number
  /** Times in which no node can reach the store, so that due changes wait. */
  readonly outages: readonly Outage[]
}

export interface Outage {
  readonly from: number
  readonly until: number
}

const ORDER = { actor: 'operator', reason: 'simulated' }

/**
 * Orders of operators in a year: they rotate each ring a few times at the first allowed instant,
 * which leaves keys the least lead that the policy demands, both unexpectedly and ordered ahead.
 * Later, when the rings are quiet again, they revoke the signing key.
 */
export function usualOrders(
  policies: RotationPolicies,
  { start, until }: Pick<HistoryOptions, 'start' | 'until'>,
): readonly Order[] {
  const at = (share: number) => Math.floor(start + share * (until - start))
  return policies.rings.flatMap(({ ring, published }): readonly Order[] => {
    if (!published) return []
    const rotate = { do: 'rotate', ring, after: at(0.3) } as const
    const ahead = { ...rotate, ahead: true }
    return [rotate, ahead, ahead, rotate, { do: 'revoke', ring, after: at(0.75) }]
  })
}

/** Every version of the store. */
export function historyOf(
  policies: RotationPolicies,
  { start, until, makerOffset, orderOffset, ...options }: HistoryOptions,
): readonly Version[] {
  const versions: Version[] = []
  let orders = options.orders
  let facts: RingFacts = { keys: [], events: [] }
  const write = (at: number, actions: readonly Action[]) => {
    if (actions.length === 0) return
    facts = actions.reduce(assume, facts)
    if (versions.at(-1)?.at === at) versions.pop()
    versions.push({ at, facts })
  }
  const reachable = (at: number) =>
    options.outages.reduce(
      (t, outage) => (t >= outage.from && t < outage.until ? outage.until : t),
      at,
    )
  for (let at = start; at <= until; ) {
    write(at, plan(facts, policies, at + makerOffset).actions)
    const dueAt = nextChangeAt(facts, policies, at + makerOffset) ?? Infinity
    const changeAt = reachable(dueAt - makerOffset)
    const next = nextOrder(orders, { facts, policies, at, reachable })
    if (next && next.at < changeAt) {
      orders = orders.toSpliced(orders.indexOf(next.order), 1)
      if (next.at > until) continue
      write(next.at, give(next.order, facts, policies, next.at + orderOffset))
    }
    at = Math.min(changeAt, next?.at ?? Infinity)
  }
  return versions
}

interface Scene {
  readonly facts: RingFacts
  readonly policies: RotationPolicies
  readonly at: number
  readonly reachable: (at: number) => number
}

/** The next order: of each ring only the first, because later orders wait for it. */
function nextOrder(orders: readonly Order[], scene: Scene) {
  const firsts = orders.filter((order, i) => orders.findIndex((o) => o.ring === order.ring) === i)
  return firsts
    .map((order) => ({ order, at: scene.reachable(possibleAt(order, scene)) }))
    .filter(({ at }) => Number.isFinite(at))
    .sort((a, b) => a.at - b.at)[0]
}

/** Earliest instant at which the order makes no RP fail, as far as known before the next change. */
function possibleAt(order: Order, { facts, policies, at }: Scene): number {
  const policy = policies.policyFor(order.ring)
  const states = ringStates(facts, policy, at)
  const earliest = Math.max(at, order.after)
  const waiting = states.find((state) => state.phase === 'pre-active')
  if (!activeKey(states)) return Infinity
  if (!waiting) return policy.standby ? Infinity : earliest
  const knownAt = Math.max(earliest, waiting.key.createdAt + policy.propagation)
  if (knownAt >= waiting.activatesAt) return Infinity
  return order.ahead ? earliest : knownAt
}

function give(
  { do: verb, ring }: Order,
  facts: RingFacts,
  policies: RotationPolicies,
  now: number,
): readonly Action[] {
  try {
    if (verb === 'rotate') return [orderRotation(facts, policies, { ring, now, ...ORDER })]
    const active = activeKey(ringStates(facts, policies.policyFor(ring), now))?.key
    const order = active && orderRevocation(facts, policies, { kid: active.kid, now, ...ORDER })
    return order ? [order] : []
  } catch (error) {
    // Refused because as many keys are published as RPs accept; an operator would give up.
    if (error instanceof Refused) return []
    throw error
  }
}

/** A key of a history, with the instant at which the store first had it. */
export interface BornKey {
  readonly key: KeyFacts
  /** Instant of true time. */
  readonly bornAt: number
  /** Index of the first version that has the key. */
  readonly version: number
}

/** Every key that the store ever had, in order of birth. */
export function keysOf(versions: readonly Version[]): readonly BornKey[] {
  const born = new Map<string, BornKey>()
  for (const [version, { at, facts }] of versions.entries()) {
    for (const key of facts.keys) {
      if (!born.has(key.kid)) born.set(key.kid, { key, bornAt: at, version })
    }
  }
  return [...born.values()]
}
