import { Refused } from '../errors.ts'
import type { RotationPolicies } from '../keys/policy.ts'
import { type ClusterOptions, type Span, spansOf } from './cluster.ts'
import { believesUntil, type FailureRules, meetUnknown, refusesAtStart } from './failures.ts'
import { type HistoryOptions, historyOf, usualOrders } from './history.ts'
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
  /** Seconds from then on; a year unless told. */
  readonly horizon?: number
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
}

const YEAR = 365 * 86_400
const LEAST_NODES = 10

/** The longest time-out that was read in an RP library. */
const FLIGHT = 60

/** @throws Refused where no key takes over within the horizon, or the nodes are too few */
export function simulate(options: SimulationOptions): Simulation {
  const { policies, leeway = 0, nodes = 50, start = 0, horizon = YEAR, outages = [] } = options
  if (nodes < LEAST_NODES) {
    throw new Refused(`Simulate at least ${LEAST_NODES} nodes: each of the worst cases takes one.`)
  }
  // Rings have them in common.
  const maxRingAge = Math.max(...policies.rings.map((policy) => policy.maxRingAge))
  const clockSkew = Math.max(...policies.rings.map((policy) => policy.clockSkew))
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
  const scene = { sightings, rules, maxRingAge, clockSkew, until }
  const results = (options.models ?? RP_MODELS).map((model) => reportOf(model, scene))
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

interface Scene {
  readonly sightings: readonly Sightings[]
  readonly rules: FailureRules
  readonly maxRingAge: number
  readonly clockSkew: number
  readonly until: number
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
    stories.push(
      ...met.refusals.map((refusal) =>
        tooEarly(model, { ...key, firstSigner }, refusal, maxRingAge),
      ),
    )
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
function believesRevoked(model: RpModel, { sightings, rules, clockSkew, until }: Scene) {
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
    return believesUntil(model, key, fresh, { ...rules, until: until - 1 }) + 1 - revokedAt
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
