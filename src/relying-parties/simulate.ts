import { Refused } from '../errors.ts'
import type { RingName } from '../ring/key.ts'
import type { RotationPolicies } from '../ring/policy.ts'
import { type ClusterOptions, spansOf } from './cluster.ts'
import { type HistoryOptions, historyOf, usualOrders } from './history.ts'
import { onlyRings, type Part, partsOf } from './horizon.ts'
import { RP_MODELS, type RpModel } from './models.ts'
import { sightingsOf } from './sightings.ts'
import { type Story, shortest } from './story.ts'
import { isOutlived, type ModelReport, reportOf, worse } from './verdict.ts'

/**
 * Is a rotation policy safe for each kind of relying party (RP), by what margin, and if not, how
 * does it fail? The key store of a year, many nodes with the worst clocks and faults, HTTP caches
 * and RPs, all driven by the real core. Pure, and the same each time.
 *
 * The policy is judged by itself: what `ring/may-sign.ts` records where a token would outlive its
 * key is a second net and not counted.
 */

export interface SimulationOptions {
  readonly policies: RotationPolicies
  readonly refreshInterval: number
  readonly jwksMaxAge: number
  readonly staleWhileRevalidate: number
  /** 0 unless told: it applies only while no node can be reached, and makes caches much staler. */
  readonly staleIfError?: number
  /** The longest of any signed thing that RPs verify. */
  readonly tokenLifetime: number
  /** How long after its expiry RPs must still accept a token; 0 unless told. */
  readonly leeway?: number
  readonly nodes?: number
  /** First start, in seconds since the epoch. */
  readonly start?: number
  /** Seconds from then on; as long as the rings need unless told (`horizon.ts`). */
  readonly horizon?: number | undefined
  readonly models?: readonly RpModel[]
  readonly orders?: HistoryOptions['orders']
  /** Of the clock that stamps orders, in seconds; 0 unless told, as it is the database's. */
  readonly orderOffset?: number
  /** When no node can reach the key store; single nodes fail at the worst times anyhow. */
  readonly outages?: HistoryOptions['outages']
  /** Longest time of a fetch; 60 s unless told. */
  readonly flight?: number
  /** Longest time between two tokens at RPs that refresh behind their answers; 1 s unless told. */
  readonly gap?: number
  /** Rules of nodes, all in force unless told. */
  readonly nodeRules?: Partial<Pick<ClusterOptions, 'ringAgeLimit' | 'clockLimit'>>
  /** Told before each model, of how many there are, with the rings that are simulated. */
  readonly onProgress?: (progress: Progress) => void
}

export interface Progress {
  readonly rings: readonly RingName[]
  readonly model: string
  /** Of all models of all parts: from 0 to 1. */
  readonly share: number
}

export interface Simulation {
  readonly models: readonly ModelReport[]
  /** The shortest of all models for each cause, shortest first. */
  readonly stories: readonly Story[]
  readonly nodes: number
  readonly keys: number
  readonly activations: number
  readonly removals: number
  readonly revocations: number
  /** Keys that had to sign early because of a revocation: its price, not counted as failures. */
  readonly early: number
  /** Arrangements of deliveries, fetches and tokens that were tried. */
  readonly tried: number
  /** What was simulated by itself, and for how long. */
  readonly parts: readonly Part[]
}

const LEAST_NODES = 10

const NODES = 50

/** The longest time-out that was read in an RP library. */
const FLIGHT = 60

/**
 * @throws Refused where no key takes over within the horizon, the nodes are too few, or there is
 *   more to simulate than time and memory allow
 */
export function simulate(options: SimulationOptions): Simulation {
  const { policies, nodes = NODES, horizon, jwksMaxAge, staleWhileRevalidate } = options
  if (nodes < LEAST_NODES) {
    const message = `Simulate at least ${LEAST_NODES} nodes: each of the worst cases takes one.`
    throw new Refused('simulation_nodes_too_few', { least: LEAST_NODES }, message)
  }
  const { maxRingAge, clockSkew } = extremes(policies)
  const stale = Math.max(staleWhileRevalidate, options.staleIfError ?? 0)
  const flight = options.flight ?? FLIGHT
  const hiding = maxRingAge + jwksMaxAge + stale + flight + 2 * clockSkew
  const parts = partsOf(policies, { nodes, horizon, hiding })
  const results = parts.map((part, index) =>
    simulatePart({
      ...options,
      policies: onlyRings(policies, part),
      horizon: part.horizon,
      onProgress: (progress) =>
        options.onProgress?.({ ...progress, share: (index + progress.share) / parts.length }),
    }),
  )
  return together(results, parts)
}

/** Rings have them in common. */
function extremes({ rings }: RotationPolicies) {
  return {
    maxRingAge: Math.max(...rings.map((policy) => policy.maxRingAge)),
    clockSkew: Math.max(...rings.map((policy) => policy.clockSkew)),
  }
}

type PartOptions = SimulationOptions & { readonly horizon: number }

function simulatePart(options: PartOptions): Omit<Simulation, 'parts'> {
  const { policies, leeway = 0, nodes = NODES, start = 0, horizon, outages = [] } = options
  const { maxRingAge, clockSkew } = extremes(policies)
  const until = start + horizon
  const versions = historyOf(policies, {
    start,
    until,
    orders: options.orders ?? usualOrders(policies, { start, until }),
    makerOffset: -clockSkew,
    orderOffset: options.orderOffset ?? 0,
    outages,
  })
  const spans = spansOf(versions, policies, {
    ...{ ringAgeLimit: true, clockLimit: true, ...options.nodeRules },
    ...{ nodes, maxRingAge, clockSkew, until, outages, refreshInterval: options.refreshInterval },
  })
  const tokenLifetime = options.tokenLifetime + leeway
  const sightings = sightingsOf(versions, spans, { ...options, tokenLifetime })
  const used = sightings.filter((key) => !key.isExcused && key.firstSigner)
  if (used.length === 0) {
    const message = 'No key takes over from another within that time. Simulate more days.'
    throw new Refused('simulation_too_short', {}, message)
  }
  const rules = {
    jwksMaxAge: options.jwksMaxAge,
    staleWhileRevalidate: options.staleWhileRevalidate,
    staleIfError: options.staleIfError ?? 0,
    flight: options.flight ?? FLIGHT,
    gap: options.gap ?? 1,
  }
  const scene = { sightings, rules, maxRingAge, clockSkew }
  const models = options.models ?? RP_MODELS
  const results = models.map((model, index) => {
    const rings = policies.rings.map(({ ring }) => ring)
    options.onProgress?.({ rings, model: model.name, share: index / models.length })
    return reportOf(model, scene)
  })
  return {
    models: results.map(({ report }) => report),
    stories: shortest(results.flatMap(({ report }) => report.stories)),
    nodes,
    keys: sightings.length,
    activations: used.length,
    removals: sightings.filter(isOutlived).length,
    revocations: sightings.filter(({ revokedAt }) => revokedAt !== undefined).length,
    early: sightings.filter((key) => key.isExcused && key.version > 0).length,
    tried: results.reduce((sum, { tried }) => sum + tried, 0),
  }
}

/** Each model by its worst part. */
function together(
  results: readonly Omit<Simulation, 'parts'>[],
  parts: readonly Part[],
): Simulation {
  const [first, ...others] = results
  if (!first) {
    const message = 'No ring is published, so relying parties see none.'
    throw new Refused('simulation_without_rings', {}, message)
  }
  const sum = (count: (each: Omit<Simulation, 'parts'>) => number) =>
    results.reduce((total, each) => total + count(each), 0)
  return {
    models: first.models.map((model, index) =>
      others.flatMap(({ models }) => models[index] ?? []).reduce(worse, model),
    ),
    stories: shortest(results.flatMap(({ stories }) => stories)),
    nodes: first.nodes,
    keys: sum(({ keys }) => keys),
    activations: sum(({ activations }) => activations),
    removals: sum(({ removals }) => removals),
    revocations: sum(({ revocations }) => revocations),
    early: sum(({ early }) => early),
    tried: sum(({ tried }) => tried),
    parts,
  }
}
