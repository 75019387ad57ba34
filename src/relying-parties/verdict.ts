import type { Span } from './cluster.ts'
import { believesUntil, type FailureRules, meetUnknown, refusesAtStart } from './failures.ts'
import type { RpModel } from './model.ts'
import type { LastToken, Sightings } from './sightings.ts'
import { duration, goneTooSoon, type Story, shortest, tooEarly } from './story.ts'

/**
 * Verdict on a simulated time for a model of relying parties (RPs): whether the policy is safe for
 * it, by what margin, and how it fails. Pure.
 */

/** `conditional`: safe as long as the condition holds, which no policy can ensure. */
export type Verdict = 'safe' | 'conditional' | 'unsafe' | 'advisory'

export interface ModelReport {
  readonly model: string
  readonly standsFor: string
  readonly verdict: Verdict
  /** Condition of a conditional verdict, or advice of an advisory one. */
  readonly condition: string | null
  /**
   * Seconds by which keys could sign earlier; negative if they must sign later; null if none
   * signed.
   */
  readonly forward: number | null
  /** Seconds by which tokens could live longer; negative if they must live shorter. */
  readonly backward: number | null
  /** The smaller of `forward` and `backward`. */
  readonly margin: number | null
  /** Seconds for which the RP trusts a revoked key; null for ever; absent if no key was revoked. */
  readonly believesRevoked?: number | null
  /** The shortest story for each cause. */
  readonly stories: readonly Story[]
}

/** The simulated time, the same for all models. */
export interface Scene {
  readonly sightings: readonly Sightings[]
  readonly rules: FailureRules
  readonly maxRingAge: number
  readonly clockSkew: number
}

/**
 * Seconds for which trust in a revoked key is checked, after the fresh key signs and caches have
 * dropped the revoked one. Longer than the day for which RPs with a limit keep keys at most, so a
 * key that is still trusted then is trusted for ever, independent of the end of the simulated time.
 */
const TRUST_CHECKED_FOR = 4 * 86_400

/**
 * @returns the report of one model, and how many arrangements of deliveries and fetches were tried
 * for it
 */
export function reportOf(model: RpModel, scene: Scene): { report: ModelReport; tried: number } {
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

/** The worse of two reports of a model, with the stories of both. */
export function worse(a: ModelReport, b: ModelReport): ModelReport {
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

function conditionOf({ proof, limit }: RpModel, gap: number): string | null {
  if (proof === 'if busy') return `if each verifies a token at least every ${duration(gap)}`
  if (proof === 'if restarted') return `if each is restarted at least every ${duration(gap)}`
  if (proof === 'if not flooded') return `unless invented kids use up its ${limit} fetches a minute`
  return null
}

/** Checks whether a key that takes over meets RPs that cannot know it. */
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
    // Only the shortest of each key, because the stories of all keys would take too much memory.
    const told = met.refusals.map((refusal) =>
      tooEarly(model, { ...key, firstSigner }, refusal, maxRingAge),
    )
    stories.push(...shortest(told))
  }
  return { margin: least(margins), stories: shortest(stories), tried }
}

/** Checks whether all tokens of a key that leaves have expired, except for revoked keys. */
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

/** True if the key signed and left without having been revoked. */
export function isOutlived(key: Sightings): key is Outlived {
  return key.lastToken !== undefined && key.removal !== undefined && key.revokedAt === undefined
}

/** Longest time for which a revoked key that had signed is trusted. */
function believesRevoked(model: RpModel, { sightings, rules, clockSkew }: Scene) {
  const times = sightings.flatMap((key) => {
    const { revokedAt, firstSigner } = key
    if (revokedAt === undefined || !firstSigner) return []
    const fresh = sightings
      .filter((other) => other.key.ring === key.key.ring && other.bornAt >= revokedAt)
      .flatMap(({ kid, firstSigner: first }) =>
        // By then the slowest clock signs with it too, even if the fastest clock stamped it.
        first ? { kid, signsAt: first.from + 3 * clockSkew } : [],
      )
      .sort((a, b) => a.signsAt - b.signsAt)[0]
    const hidden = 2 * (rules.jwksMaxAge + rules.staleWhileRevalidate + rules.staleIfError)
    const end = (fresh?.signsAt ?? revokedAt) + hidden + 2 * rules.flight + TRUST_CHECKED_FOR
    return believesUntil(model, key, fresh, { ...rules, until: end }) + 1 - revokedAt
  })
  if (times.length === 0) return undefined
  const longest = Math.max(...times)
  return longest === Infinity ? null : longest
}

function least(margins: readonly number[]): number | null {
  return margins.length === 0 ? null : Math.min(...margins)
}
