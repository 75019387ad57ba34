import { RP_MODELS, type RpModel, secondsOf } from './models.ts'
import { keepsInWords } from './words.ts'

/**
 * What an emergency costs at relying parties (RPs), which keep a JWKS in one of a few ways
 * (`models.ts`). Pure. The rule is that a new key is known everywhere once
 *
 *     maxRingAge + jwksMaxAge + staleWhileRevalidate + clockSkew + one fetch + (what the model adds)
 *
 * have passed since it was published. `stale-if-error` is not counted: it applies only while
 * Keyturn cannot be reached. `failures.ts` comes to the same by trying; a test compares the two.
 */

/** The settings that a price depends on, in seconds. */
export interface CachingSettings {
  readonly maxRingAge: number
  readonly jwksMaxAge: number
  readonly staleWhileRevalidate: number
  readonly clockSkew: number
}

/** RPs for which a price is the same, for the same reason. */
interface Kind {
  /** How they keep a JWKS, in words. */
  readonly model: string
  /** Names of their models. */
  readonly models: readonly string[]
  readonly examples: string
}

/** RPs for which an early promotion fails. */
export interface PromotionPrice extends Kind {
  /** Seconds; null: until what `endsBy` names. */
  readonly failsFor: number | null
  /** From the promotion, or at each from the first token that it meets, which its own fetch is too late for. */
  readonly from: 'promotion' | 'first token'
  readonly endsBy: 'time' | 'restart' | 'operator'
}

export interface RevocationPrice extends Kind {
  /** Seconds from the revocation; null: until what `endsBy` names. */
  readonly trustsFor: number | null
  /** Does trust end only when the RP meets a kid that it has never seen? */
  readonly endsWithNewKid: boolean
  /**
   * - `fetch`: its next look at the JWKS
   * - `new kid`: a token of the fresh key
   * - `request`: behind the first request after `idleAfter`; an RP that is not used goes on until then
   * - `pause`: no token of the key for `idleAfter`
   */
  readonly endsBy: 'fetch' | 'new kid' | 'request' | 'pause' | 'restart' | 'operator'
  /** Seconds; 0 for the others. */
  readonly idleAfter: number
  /** Seconds, counted in, for which it goes on after that. */
  readonly goesOnFor: number
}

/** A fetch may take this long: the longest time-out that was read in an RP library. */
const FETCH = 60

/** Seconds from publication until nodes, HTTP caches and clocks no longer hide a key from a fetch. */
export function timeToReach(settings: CachingSettings): number {
  const { maxRingAge, jwksMaxAge, staleWhileRevalidate, clockSkew } = settings
  return maxRingAge + jwksMaxAge + staleWhileRevalidate + clockSkew + FETCH
}

/**
 * The RPs that would meet an unknown kid if a key signed now, and for how long at most.
 * @param lead seconds for which the key has been published
 * @returns shortest first; empty of all but those that fetch never again for a key published long enough
 */
export function promotionPrice(lead: number, settings: CachingSettings): readonly PromotionPrice[] {
  const reach = timeToReach(settings)
  const { jwksMaxAge } = settings
  const rows = RP_MODELS.flatMap((of): readonly Row<Told<PromotionPrice>>[] => {
    // It refuses each new key, whenever it signs: that is no price of signing early.
    if (of.unknownKid === 'wait for poll') return []
    const blind = blindTime(of, jwksMaxAge)
    const model = keepsInWords(of)
    if (blind === Infinity) {
      const endsBy = of.proof === 'if restarted' ? 'restart' : 'operator'
      return [{ of, told: { model, failsFor: null, from: 'promotion', endsBy } }]
    }
    const failsFor = reach + blind - lead
    if (failsFor <= 0) return []
    if (of.unknownKid !== 'fetch behind') {
      return [{ of, told: { model, failsFor, from: 'promotion', endsBy: 'time' } }]
    }
    // Its first token makes it fetch, and again after the cool-down for as long as caches hide the key.
    const hidden = Math.max(0, reach - lead)
    const each = hidden + secondsOf(of.coolDown.lasts, jwksMaxAge) + FETCH
    return [{ of, told: { model, failsFor: each, from: 'first token', endsBy: 'time' } }]
  })
  return together(rows).sort((a, b) => byTime(a.failsFor, b.failsFor))
}

/** Seconds for which an RP may go on without a key that the JWKS shows. */
function blindTime(model: RpModel, maxAge: number): number {
  if (model.keeps !== 'set') return 0
  const lifetime = secondsOf(model.lifetime, maxAge)
  if (model.unknownKid !== 'fetch') return lifetime
  return Math.min(lifetime, secondsOf(model.coolDown.lasts, maxAge))
}

/**
 * How long RPs go on trusting a key at most after it was revoked. Those that fetch for an unknown kid
 * drop it when they meet the fresh key, which signs one propagation after the revocation (`plan.ts`).
 * @param propagation seconds
 * @returns shortest first
 */
export function revocationPrice(
  settings: CachingSettings & { readonly propagation: number },
): readonly RevocationPrice[] {
  const rows = RP_MODELS.map((of) => ({ of, told: trustIn(of, settings) }))
  return together(rows).sort((a, b) => byTime(a.trustsFor, b.trustsFor))
}

function trustIn(
  of: RpModel,
  settings: CachingSettings & { readonly propagation: number },
): Told<RevocationPrice> {
  const own = of.keeps === 'keys of a set' ? secondsOf(of.lifetime, settings.jwksMaxAge) : 0
  const goesOnFor = own + (of.oldSets?.believedFor ?? 0) + (of.keepsTokens ?? 0)
  const [bySelf, byKid] = [endsBySelf(of, settings), endsByNewKid(of, settings)]
  const told = { model: keepsInWords(of), idleAfter: 0, goesOnFor, endsWithNewKid: false }
  if (byKid < bySelf) {
    return { ...told, trustsFor: byKid + goesOnFor, endsWithNewKid: true, endsBy: 'new kid' }
  }
  if (of.believesGone !== undefined) {
    return { ...told, trustsFor: null, endsBy: 'pause', idleAfter: of.believesGone }
  }
  if (bySelf === Infinity) {
    const endsBy = of.proof === 'if restarted' ? 'restart' : 'operator'
    return { ...told, trustsFor: null, endsBy }
  }
  const trustsFor = bySelf + goesOnFor
  if (of.refresh !== 'behind') return { ...told, trustsFor, endsBy: 'fetch' }
  const idleAfter = secondsOf(of.lifetime, settings.jwksMaxAge)
  return { ...told, trustsFor, endsBy: 'request', idleAfter }
}

/** Seconds until no fetch of an RP that ends then brings the key any more. */
function hiddenFor({ maxRingAge, jwksMaxAge, staleWhileRevalidate }: CachingSettings): number {
  return maxRingAge + jwksMaxAge + staleWhileRevalidate + FETCH
}

/** Seconds until it has replaced, whatever tokens it meets, the last copy that has the key. */
function endsBySelf(model: RpModel, settings: CachingSettings): number {
  if (model.keeps === 'keys of a set' || model.believesGone !== undefined) return Infinity
  return hiddenFor(settings) + secondsOf(model.lifetime, settings.jwksMaxAge)
}

/** Seconds until it has fetched for the fresh key. */
function endsByNewKid(
  { keeps, unknownKid, coolDown, poll = 0 }: RpModel,
  settings: CachingSettings & { readonly propagation: number },
): number {
  if (keeps === 'nothing' || keeps === 'keys' || unknownKid === 'refuse') return Infinity
  const { propagation, clockSkew, jwksMaxAge } = settings
  // The clock that made the key may be ahead, that of the node that signs behind. A cool-down counts
  // only if the last fetch that brought the key began it: any later one has taken the key away.
  const signed = propagation + 2 * clockSkew
  const cooled = hiddenFor(settings) + secondsOf(coolDown.lasts, jwksMaxAge)
  return Math.max(signed, cooled) + poll + FETCH
}

/** What it costs if a key signs before it has been published for one propagation. */
export interface EarlySwitch {
  /** Seconds for which it has been published by then. */
  readonly lead: number
  /** RPs that refuse its tokens, as `promotionPrice` gives them. */
  readonly fails: readonly PromotionPrice[]
}

/**
 * The instants before the end of `propagation` that are worth a thought: as soon as can be; once
 * those RPs know the key that drop another only when they meet a kid they have never seen, for whose
 * sake a switch after a revocation is made; and once every RP knows it that fetches by itself.
 * @param propagation seconds
 * @param lead seconds for which the key has been published already
 * @returns earliest first; none for a key that has been published for `propagation`
 */
export function earlySwitches(
  lead: number,
  { propagation, ...settings }: CachingSettings & { readonly propagation: number },
): readonly EarlySwitch[] {
  const { jwksMaxAge } = settings
  const known = (models: readonly RpModel[]) => {
    const times = models.map((model) => blindTime(model, jwksMaxAge)).filter(Number.isFinite)
    return timeToReach(settings) + Math.max(...times)
  }
  const waiting = RP_MODELS.filter(
    (model) => model.unknownKid === 'fetch' && endsBySelf(model, settings) === Infinity,
  )
  const leads = [0, known(waiting), known(RP_MODELS)]
  return [...new Set(leads.map((each) => Math.max(each, lead)))]
    .filter((each) => each < propagation)
    .map((each) => ({ lead: each, fails: promotionPrice(each, settings) }))
}

/** What is told of one model, before those of which the same is told are put together. */
type Told<Price extends Kind> = Omit<Price, 'models' | 'examples'>

interface Row<T> {
  readonly of: RpModel
  readonly told: T
}

/** Models of which the same is told are one kind. */
function together<T extends object>(rows: readonly Row<T>[]) {
  return [...Map.groupBy(rows, ({ told }) => JSON.stringify(told)).values()].flatMap((alike) => {
    const models = alike.map(({ of }) => of.name)
    const examples = alike.map(({ of }) => of.standsFor).join(', ')
    return alike.slice(0, 1).map(({ told }) => ({ ...told, models, examples }))
  })
}

/** Shortest first, what has no end last. */
function byTime(a: number | null, b: number | null): number {
  // Infinity - Infinity is no number.
  if (a === b) return 0
  return (a ?? Infinity) - (b ?? Infinity)
}
