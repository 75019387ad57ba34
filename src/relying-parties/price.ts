import { type RpModel, secondsOf } from './model.ts'
import { RP_MODELS } from './models.ts'
import { keepsInWords } from './words.ts'

/**
 * Cost of an emergency at relying parties (RPs), which keep a JWKS in one of a few ways
 * (`models.ts`). Pure. The rule is that a new key is known everywhere once
 *
 *     maxRingAge + jwksMaxAge + staleWhileRevalidate + clockSkew + one fetch + (the model adds)
 *
 * have passed since it was published. `stale-if-error` is not counted: it applies only while
 * Keyturn cannot be reached. `failures.ts` gets the same results by trying; a test compares the
 * two.
 */

/** The settings that a price depends on, in seconds. */
export interface CachingSettings {
  readonly maxRingAge: number
  readonly jwksMaxAge: number
  readonly staleWhileRevalidate: number
  readonly clockSkew: number
}

/** RPs with the same price for the same reason. */
interface Kind {
  /** Description of how these RPs keep a JWKS. */
  readonly model: string
  /** Names of the RPs' models. */
  readonly models: readonly string[]
  readonly examples: string
}

/** RPs for which an early promotion fails. */
export interface PromotionPrice extends Kind {
  /** Seconds; null for until the event in `endsBy`. */
  readonly failsFor: number | null
  /**
   * Begin of the failure: the promotion, or each RP's first token of the key, for which its fetch
   * comes too late.
   */
  readonly from: 'promotion' | 'first token'
  readonly endsBy: 'time' | 'restart' | 'operator'
}

export interface RevocationPrice extends Kind {
  /** Seconds from the revocation; null for until the event in `endsBy`. */
  readonly trustsFor: number | null
  /** True if trust ends only when the RP meets a kid that it has never seen. */
  readonly endsWithNewKid: boolean
  /**
   * - `fetch`: the RP's next fetch of the JWKS
   * - `new kid`: a token of the fresh key
   * - `request`: after the first request past `idleAfter`; an unused RP trusts the key until then
   * - `pause`: no token of the key for `idleAfter`
   */
  readonly endsBy: 'fetch' | 'new kid' | 'request' | 'pause' | 'restart' | 'operator'
  /** Seconds for `request` and `pause`; 0 otherwise. */
  readonly idleAfter: number
  /** Seconds, included in `trustsFor`, for which trust continues after that event. */
  readonly goesOnFor: number
}

/** Longest time of a fetch in seconds: the longest time-out found in an RP library. */
const FETCH = 60

/**
 * Seconds from publication until nodes, HTTP caches and clocks no longer hide a key from a fetch.
 */
export function timeToReach(settings: CachingSettings): number {
  const { maxRingAge, jwksMaxAge, staleWhileRevalidate, clockSkew } = settings
  return maxRingAge + jwksMaxAge + staleWhileRevalidate + clockSkew + FETCH
}

/**
 * The RPs that would meet an unknown kid if a key signed now, and for how long at most.
 * @param lead seconds for which the key has been published
 * @returns shortest first; for a key published long enough, only RPs that never fetch again
 */
export function promotionPrice(lead: number, settings: CachingSettings): readonly PromotionPrice[] {
  const reach = timeToReach(settings)
  const { jwksMaxAge } = settings
  const rows = RP_MODELS.flatMap((of): readonly Row<PriceOf<PromotionPrice>>[] => {
    // This RP refuses each new key, whenever the key signs, so early signing costs nothing more.
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
    // The first token makes the RP fetch, and fetch again after the cool-down as long as caches
    // hide the key.
    const hidden = Math.max(0, reach - lead)
    const each = hidden + secondsOf(of.coolDown.lasts, jwksMaxAge) + FETCH
    return [{ of, told: { model, failsFor: each, from: 'first token', endsBy: 'time' } }]
  })
  return together(rows).sort((a, b) => byTime(a.failsFor, b.failsFor))
}

/** Seconds for which an RP may not know a key that the JWKS shows. */
function blindTime(model: RpModel, maxAge: number): number {
  if (model.keeps !== 'set') return 0
  const lifetime = secondsOf(model.lifetime, maxAge)
  if (model.unknownKid !== 'fetch') return lifetime
  return Math.min(lifetime, secondsOf(model.coolDown.lasts, maxAge))
}

/**
 * Longest time for which RPs trust a revoked key. RPs that fetch for an unknown kid drop the
 * revoked key when they meet the fresh key, which signs one propagation after the revocation
 * (`plan.ts`).
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
): PriceOf<RevocationPrice> {
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

/** Seconds after which no fetch of an RP brings the key any more. */
function hiddenFor({ maxRingAge, jwksMaxAge, staleWhileRevalidate }: CachingSettings): number {
  return maxRingAge + jwksMaxAge + staleWhileRevalidate + FETCH
}

/** Seconds until the RP has replaced the last copy with the key, whatever tokens it meets. */
function endsBySelf(model: RpModel, settings: CachingSettings): number {
  if (model.keeps === 'keys of a set' || model.believesGone !== undefined) return Infinity
  return hiddenFor(settings) + secondsOf(model.lifetime, settings.jwksMaxAge)
}

/** Seconds until the RP has fetched because of the fresh key. */
function endsByNewKid(
  { keeps, unknownKid, coolDown, poll = 0 }: RpModel,
  settings: CachingSettings & { readonly propagation: number },
): number {
  if (keeps === 'nothing' || keeps === 'keys' || unknownKid === 'refuse') return Infinity
  const { propagation, clockSkew, jwksMaxAge } = settings
  // The clock that made the key may be fast, and the signing node's clock slow. A cool-down matters
  // only if it began with the last fetch that brought the key, because any later fetch has dropped
  // the key.
  const signed = propagation + 2 * clockSkew
  const cooled = hiddenFor(settings) + secondsOf(coolDown.lasts, jwksMaxAge)
  return Math.max(signed, cooled) + poll + FETCH
}

/** Cost of signing with a key that has been published for less than one propagation. */
export interface EarlySwitch {
  /** Seconds for which the key has been published by then. */
  readonly lead: number
  /** RPs that refuse the key's tokens, from `promotionPrice`. */
  readonly fails: readonly PromotionPrice[]
}

/**
 * The instants before the end of `propagation` that an operator may choose: at once; once the key
 * is known to all RPs that drop another key only when they meet a kid they have never seen, because
 * a switch after a revocation is made for them; and once every RP that fetches by itself knows it.
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

/** Price of a single model, before models with the same price are grouped. */
type PriceOf<Price extends Kind> = Omit<Price, 'models' | 'examples'>

interface Row<T> {
  readonly of: RpModel
  readonly told: T
}

/** Groups models with the same price as one kind. */
function together<T extends object>(rows: readonly Row<T>[]) {
  return [...Map.groupBy(rows, ({ told }) => JSON.stringify(told)).values()].flatMap((alike) => {
    const models = alike.map(({ of }) => of.name)
    const examples = alike.map(({ of }) => of.standsFor).join(', ')
    return alike.slice(0, 1).map(({ told }) => ({ ...told, models, examples }))
  })
}

/** Sorts the shortest first, and prices without end last. */
function byTime(a: number | null, b: number | null): number {
  // Infinity - Infinity is NaN.
  if (a === b) return 0
  return (a ?? Infinity) - (b ?? Infinity)
}
