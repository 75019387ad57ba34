import { Refused } from '../errors.ts'
import type { RingName } from '../keys/key.ts'
import type { RotationPolicies } from '../keys/policy.ts'
import { type ClusterOptions, type Span, spansOf } from './cluster.ts'
import { believesUntil, type FailureRules, meetUnknown, refusesAtStart } from './failures.ts'
import { type HistoryOptions, historyOf, usualOrders } from './history.ts'
import { onlyRings, type Part, partsOf } from './horizon.ts'
import { RP_MODELS, type RpModel } from './models.ts'
import { type LastToken, type Sightings, sightingsOf } from './sightings.ts'
import { duration, goneTooSoon, type Story, shorter, tooEarly } from './story.ts'

/**
 * Is a rotation policy safe for each kind of relying party (RP), by what margin, and if not, how
 * does it fail? The key store of a year, many nodes with the worst clocks and faults, HTTP caches
 * and RPs, all driven by the real core. Pure, and the same each time.
 *
 * The policy is judged by itself: what `keys/authorize.ts` records where a token would outlive its
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

/** `conditional`: safe as long as the condition holds, which no policy can ensure. */
export type Verdict = 'safe' | 'conditional' | 'unsafe' | 'advisory'

export interface ModelReport {
  readonly model: string
  readonly standsFor: string
  readonly verdict: Verdict
  /** What a conditional verdict depends on, or what an operator should know of an advisory one. */
  readonly condition: string | null
  /** Seconds by which keys could sign earlier; negative where they must later. Null: none did. */
  readonly forward: number | null
  /** Seconds by which tokens could live longer; negative where they must shorter. */
  readonly backward: number | null
  /** The smaller of both. */
  readonly margin: number | null
  /** Seconds for which it believes a revoked key; null for ever; absent where none was revoked. */
  readonly believesRevoked?: number | null
  /** The shortest for each cause. */
  readonly stories: readonly Story[]
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

/**
 * Seconds for which it is asked whether a revoked key is still believed, from when the fresh key
 * signs and caches have let go: more than the day for which RPs with a limit keep keys at most. What
 * is believed then is believed for ever; the end of the simulated time has no part in it.
 */
const AFTERWARDS = 4 * 86_400

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
    throw new Refused(`Simulate at least ${LEAST_NODES} nodes: each of the worst cases takes one.`)
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
    throw new Refused('No key takes over from another within that time. Simulate more days.')
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
  if (!first) throw new Refused('No ring is published, so relying parties see none.')
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

/** The worst of two reports of one model, and the stories of both. */
function worse(a: ModelReport, b: ModelReport): ModelReport {
  const worst = (b.margin ?? Infinity) < (a.margin ?? Infinity) ? b : a
  const times = [a, b].flatMap(({ believesRevoked: time }) => (time === undefined ? [] : [time]))
  const longest = times.reduce<number | null>(
    (most, time) => (most === null || time === null ? null : Math.max(most, time)),
    0,
  )
  return {
    ...worst,
    ...(times.length === 0 ? {} : { believesRevoked: longest }),
    forward: least([a.forward, b.forward].filter((each) => each !== null)),
    backward: least([a.backward, b.backward].filter((each) => each !== null)),
    stories: shortest([...a.stories, ...b.stories]),
  }
}

interface Scene {
  readonly sightings: readonly Sightings[]
  readonly rules: FailureRules
  readonly maxRingAge: number
  readonly clockSkew: number
}

function reportOf(model: RpModel, scene: Scene): { report: ModelReport; tried: number } {
  const { name, standsFor, proof, advice = null } = model
  const believes = believesRevoked(model, scene)
  const told = {
    model: name,
    standsFor,
    ...(believes === undefined ? {} : { believesRevoked: believes }),
  }
  if (proof === 'advisory') {
    const margins = { forward: null, backward: null, margin: null }
    const report = { ...told, verdict: proof, condition: advice, ...margins, stories: [] } as const
    return { report, tried: 0 }
  }
  const ahead = forward(model, scene)
  const behind = backward(model, scene)
  const margin = least([ahead.margin, behind.margin].filter((each) => each !== null))
  const isUnsafe = margin !== null && margin < 0
  const report = {
    ...told,
    verdict: isUnsafe ? 'unsafe' : proof === 'always' ? 'safe' : 'conditional',
    condition: isUnsafe ? null : conditionOf(model, (ahead.margin ?? 0) + scene.rules.gap),
    ...{ forward: ahead.margin, backward: behind.margin, margin },
    stories: shortest([...ahead.stories, ...behind.stories]),
  } as const
  return { report, tried: ahead.tried }
}

function conditionOf({ proof, limit }: RpModel, gap: number): string | null {
  if (proof === 'if busy') return `if each verifies a token at least every ${duration(gap)}`
  if (proof === 'if not flooded') return `unless invented kids use up its ${limit} fetches a minute`
  return null
}

/** Every key that takes over: does it meet RPs that cannot know it? */
function forward(model: RpModel, { sightings, rules, maxRingAge }: Scene) {
  const stories: Story[] = []
  const margins: number[] = []
  let tried = 0
  for (const key of sightings) {
    const { firstSigner, isExcused } = key
    if (isExcused || !firstSigner) continue
    const met = meetUnknown(model, key, rules)
    tried += met.tried
    margins.push(firstSigner.from - met.blindUntil - 1)
    // Of each key the shortest: those of all keys would be held in memory together.
    const told = met.refusals.map((refusal) =>
      tooEarly(model, { ...key, firstSigner }, refusal, maxRingAge),
    )
    stories.push(...shortest(told))
  }
  return { margin: least(margins), stories: shortest(stories), tried }
}

/** Every key that leaves: has every token that it signed expired? Those of revoked keys must not. */
function backward(model: RpModel, { sightings, maxRingAge }: Scene) {
  const stories: Story[] = []
  const margins: number[] = []
  for (const key of sightings.filter(isOutlived)) {
    const { lastToken: token, removal, kid } = key
    margins.push(removal.from - token.expiresAt)
    if (removal.from >= token.expiresAt || !refusesAtStart(model, kid, removal.view)) continue
    stories.push(goneTooSoon(model, key, { token, removal }, maxRingAge))
  }
  return { margin: least(margins), stories }
}

type Outlived = Sightings & { readonly lastToken: LastToken; readonly removal: Span }

function isOutlived(key: Sightings): key is Outlived {
  return key.lastToken !== undefined && key.removal !== undefined && key.revokedAt === undefined
}

/** The longest time for which a revoked key is believed that had signed. */
function believesRevoked(model: RpModel, { sightings, rules, clockSkew }: Scene) {
  const times = sightings.flatMap((key) => {
    const { revokedAt, firstSigner } = key
    if (revokedAt === undefined || !firstSigner) return []
    const fresh = sightings
      .filter((other) => other.key.ring === key.key.ring && other.bornAt >= revokedAt)
      .flatMap(({ kid, firstSigner: first }) =>
        // By then the slowest clock signs with it as well.
        first ? { kid, signsAt: first.from + 2 * clockSkew } : [],
      )
      .sort((a, b) => a.signsAt - b.signsAt)[0]
    const hidden = 2 * (rules.jwksMaxAge + rules.staleWhileRevalidate + rules.staleIfError)
    const end = (fresh?.signsAt ?? revokedAt) + hidden + 2 * rules.flight + AFTERWARDS
    return believesUntil(model, key, fresh, { ...rules, until: end }) + 1 - revokedAt
  })
  if (times.length === 0) return undefined
  const longest = Math.max(...times)
  return longest === Infinity ? null : longest
}

function least(margins: readonly number[]): number | null {
  return margins.length === 0 ? null : Math.min(...margins)
}

/** One for each cause. */
function shortest(stories: readonly Story[]): readonly Story[] {
  const best = new Map<string, Story>()
  for (const story of stories) {
    const known = best.get(story.cause)
    best.set(story.cause, known ? shorter(known, story) : story)
  }
  return [...best.values()].sort((a, b) => a.events.length - b.events.length)
}
