import { Refused } from '../errors.ts'
import type { RingName } from '../ring/key.ts'
import type { RotationPolicies } from '../ring/policy.ts'
import { type ClusterOptions, spansOf } from './cluster.ts'
import { type HistoryOptions, historyOf, usualOrders } from './history.ts'
import { LEAST_NODES, onlyRings, type Part, partsOf } from './horizon.ts'
import type { RpModel } from './model.ts'
import { RP_MODELS } from './models.ts'
import { sightingsOf } from './sightings.ts'
import { type Story, shortest } from './story.ts'
import { isOutlived, type ModelReport, reportOf, worse } from './verdict.ts'

/**
 * Finds out whether a rotation policy is safe for each kind of relying party (RP), by what margin,
 * and if not, how it fails. Simulates the key store for a year, many nodes with the worst clocks
 * and faults, HTTP caches and RPs, all driven by the real core. Pure and deterministic.
 *
 * The policy is judged by itself: the records of `ring/may-sign.ts` for tokens that would outlive
 * their key are a second safeguard and not counted.
 */

export interface SimulationOptions {
  readonly policies: RotationPolicies
  readonly refreshInterval: number
  readonly jwksMaxAge: number
  readonly staleWhileRevalidate: number
  /**
   * Seconds; 0 by default, because it applies only while no node can be reached and makes caches
   * much staler.
   */
  readonly staleIfError?: number
  /** Longest lifetime in seconds of anything signed that RPs verify. */
  readonly tokenLifetime: number
  /** Seconds after its expiry for which RPs must still accept a token; 0 by default. */
  readonly leeway?: number
  readonly nodes?: number
  /** First start, in seconds since the epoch. */
  readonly start?: number
  /** Seconds from the start; by default as long as the rings need (`horizon.ts`). */
  readonly horizon?: number | undefined
  readonly models?: readonly RpModel[]
  readonly orders?: HistoryOptions['orders']
  /**
   * Offset of the clock that stamps orders, in seconds; 0 by default, because it is the database's
   * clock.
   */
  readonly orderOffset?: number
  /**
   * Times in which no node can reach the key store; single nodes fail at the worst times anyway.
   */
  readonly outages?: HistoryOptions['outages']
  /** Longest time of a fetch; 60 s by default. */
  readonly flight?: number
  /** Longest time between two tokens at RPs that refresh behind their answers; 1 s by default. */
  readonly gap?: number
  /** Rules of nodes, all in force by default. */
  readonly nodeRules?: Partial<Pick<ClusterOptions, 'ringAgeLimit' | 'clockLimit'>>
  /** Called before each model, with the simulated rings and the share of models that are done. */
  readonly onProgress?: (progress: Progress) => void
}

export interface Progress {
  readonly rings: readonly RingName[]
  readonly model: string
  /** Finished share of all models of all parts, from 0 to 1. */
  readonly share: number
}

export interface Simulation {
  readonly models: readonly ModelReport[]
  /** For each cause the shortest story of all models, shortest first. */
  readonly stories: readonly Story[]
  readonly nodes: number
  readonly keys: number
  readonly activations: number
  readonly removals: number
  readonly revocations: number
  /** Keys that had to sign early because of a revocation, not counted as failures. */
  readonly early: number
  /** Arrangements of deliveries, fetches and tokens that were tried. */
  readonly tried: number
  /** Parts that were simulated separately, each with its horizon. */
  readonly parts: readonly Part[]
}

const NODES = 50

/** Longest time-out found in an RP library, in seconds. */
const FLIGHT = 60

/**
 * @throws Refused if no key takes over within the horizon, the nodes are too few, or the simulation
 * would take too much time or memory
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
  return combined(results, parts)
}

/** Largest `maxRingAge` and `clockSkew` of all rings. */
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

/** Combines the parts; each model gets the verdict of its worst part. */
function combined(
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
