import {
  allStates,
  eraseAt,
  isPublished,
  type KeyState,
  nextChangeAt,
  nextPublishedChangeAt,
  type RingFacts,
} from '../ring/lifecycle.ts'
import type { RotationPolicies } from '../ring/policy.ts'
import type { Outage, Version } from './history.ts'

/**
 * Simulates which keys each node signs with and serves, at every instant: a node knows the version
 * of the store that it loaded last, and derives the phases by its own clock. Pure.
 *
 * Before every change of the store two nodes, one with the slowest clock and one with the fastest,
 * load the rings for the last time and then cannot load them for longer than `maxRingAge`. No node
 * can have an older ring.
 */

export interface ClusterOptions {
  readonly nodes: number
  readonly refreshInterval: number
  readonly maxRingAge: number
  readonly clockSkew: number
  /** True if a node stops when its ring is older than `maxRingAge`. */
  readonly ringAgeLimit: boolean
  /** True if a node stops when its clock is off by more than `clockSkew`. */
  readonly clockLimit: boolean
  readonly outages: readonly Outage[]
  readonly until: number
}

export interface Node {
  readonly number: number
  /** The node's clock minus true time, in seconds. */
  readonly offset: number
  /** Instant of the first load of the rings, within one `refreshInterval`. */
  readonly phase: number
  /** Times without store, in order. */
  readonly faults: readonly Fault[]
}

export interface Fault {
  /** The last load before. */
  readonly loadedAt: number
  /** The next load. */
  readonly until: number
}

/** State of the rings for a node at an instant of its clock. */
export interface View {
  /** Kids that sign, each with the instant of the clock at which its private half is erased. */
  readonly signers: ReadonlyMap<string, number>
  readonly kids: ReadonlySet<string>
  readonly nextPublishedChangeAt: number | null
}

/** Interval of true time in which a node signs with and serves the same keys. */
export interface Span {
  readonly node: Node
  readonly from: number
  readonly until: number
  /** Index of the version that the node knows. */
  readonly version: number
  /** The fault, if the store could not be reached since the last load. */
  readonly fault: Fault | undefined
  readonly view: View
}

/** Every span of every node that signs and serves. */
export function spansOf(
  versions: readonly Version[],
  policies: RotationPolicies,
  options: ClusterOptions,
): readonly Span[] {
  const look = lookIn(versions, policies, options)
  return nodesOf(versions, options)
    .filter(({ offset }) => !options.clockLimit || Math.abs(offset) <= options.clockSkew)
    .flatMap((node) => spansOfNode(node, versions, look, options))
}

/** A third of the clocks slowest, a third fastest, the others between, and one beyond the limit. */
export function nodesOf(versions: readonly Version[], options: ClusterOptions): readonly Node[] {
  const { clockSkew, refreshInterval } = options
  const offsetOf = (i: number) => {
    if (i === options.nodes - 1) return 2 * clockSkew + 1
    if (i % 3 === 2) return ((i * 7919) % (2 * clockSkew + 1)) - clockSkew
    return i % 3 === 0 ? -clockSkew : clockSkew
  }
  const nodes = Array.from({ length: options.nodes }, (_, i) => ({
    number: i + 1,
    offset: offsetOf(i),
    phase: (i * 7919) % refreshInterval,
    faults: [] as Fault[],
  }))
  const length = options.ringAgeLimit ? options.maxRingAge + 2 * refreshInterval : Infinity
  const wholes = options.outages.map(({ from, until }) => ({ at: from, until, offsets: null }))
  const changes = versions.slice(1).map(({ at }) => {
    return { at, until: at - 1 + length, offsets: [-clockSkew, clockSkew] }
  })
  for (const { at, until, offsets } of [...wholes, ...changes].sort((a, b) => a.at - b.at)) {
    const fault = { loadedAt: at - 1, until }
    const free = nodes.filter((node) => (node.faults.at(-1)?.until ?? -Infinity) < at - 1)
    if (!offsets) for (const node of free) node.faults.push(fault)
    for (const offset of offsets ?? []) {
      const node = free.find((each) => each.offset === offset)
      if (!node) continue
      // At least two nodes must keep working.
      if (free.length > 2) node.faults.push(fault)
      free.splice(free.indexOf(node), 1)
      // The node moves to the end, so that the next fault meets the node that was spared longest.
      nodes.push(...nodes.splice(nodes.indexOf(node), 1))
    }
  }
  return nodes.sort((a, b) => a.number - b.number)
}

type Look = (version: number, clock: number) => { readonly view: View; readonly until: number }

/**
 * Looks up the view of a version at an instant of a clock, and until when it holds; computed once
 * for all nodes.
 */
function lookIn(
  versions: readonly Version[],
  policies: RotationPolicies,
  { clockSkew }: ClusterOptions,
): Look {
  const known = versions.map(({ at, facts }) => {
    // No simulated clock shows an earlier instant.
    const views = [viewOf(facts, policies, at - 2 * clockSkew - 1)]
    return { facts, views }
  })
  return (version, clock) => {
    const { facts, views } = known[version] ?? {}
    if (!facts || !views) throw new RangeError(`there is no version ${version}`)
    for (;;) {
      const found = views.find(({ until }) => clock < until)
      if (found) return found
      views.push(viewOf(facts, policies, views.at(-1)?.until ?? clock))
    }
  }
}

function viewOf(facts: RingFacts, policies: RotationPolicies, clock: number) {
  const policyOf = (state: KeyState) => policies.policyFor(state.key.ring)
  const shown = allStates(facts, policies, clock).filter(
    (state) => isPublished(state) && policyOf(state).published,
  )
  const signing = shown.filter((state) => state.phase === 'active' && state.key.hasPrivateHalf)
  const view: View = {
    signers: new Map(signing.map((s) => [s.key.kid, eraseAt(s, policyOf(s)) ?? Infinity])),
    kids: new Set(shown.map(({ key }) => key.kid)),
    nextPublishedChangeAt: nextPublishedChangeAt(facts, policies, clock),
  }
  return { view, until: nextChangeAt(facts, policies, clock) ?? Infinity }
}

function spansOfNode(
  node: Node,
  versions: readonly Version[],
  look: Look,
  { ringAgeLimit, ...options }: ClusterOptions,
): readonly Span[] {
  const { offset, faults } = node
  const loads = loadsOf(node, versions, options)
  return loads.flatMap((loadedAt, i): readonly Span[] => {
    const version = versions.findLastIndex(({ at }) => at <= loadedAt)
    const fault = faults.find((each) => each.loadedAt === loadedAt)
    const stopsAt = fault && ringAgeLimit ? loadedAt + options.maxRingAge + 1 : Infinity
    const end = Math.min(loads[i + 1] ?? options.until, stopsAt, options.until)
    const spans: Span[] = []
    for (let from = loadedAt; from < end; ) {
      // Phases follow the clock even without the store (`keepTime` in ring/publisher.ts).
      const now = look(version, from + offset)
      const until = Math.min(end, now.until - offset)
      spans.push({ node, from, until, version, fault, view: now.view })
      from = until
    }
    return spans
  })
}

/** Instants of the loads that bring a node a new version, and of the loads beside a fault. */
function loadsOf(
  { phase, faults }: Node,
  versions: readonly Version[],
  { refreshInterval, until }: Pick<ClusterOptions, 'refreshInterval' | 'until'>,
): readonly number[] {
  const regular = versions.map(({ at }) => {
    const late = (((phase - at) % refreshInterval) + refreshInterval) % refreshInterval
    return at + late
  })
  const possible = regular.filter(
    (at) => !faults.some((fault) => at > fault.loadedAt && at < fault.until),
  )
  const loads = [...possible, ...faults.flatMap((fault) => [fault.loadedAt, fault.until])]
  return [...new Set(loads)].filter((at) => at < until).sort((a, b) => a - b)
}
