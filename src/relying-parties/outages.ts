import { type RpModel, secondsOf } from './model.ts'
import { RP_MODELS } from './models.ts'

/**
 * The cost of an outage of the JWKS, or of a JWKS slower than the time-out of relying parties
 * (RPs): tokens are valid and their keys known, but some RPs refuse them. Pure. A test simulates
 * outages second by second for every model and gets the same costs.
 */
export interface OutageCost {
  readonly model: string
  readonly standsFor: string
  /**
   * Longest time in seconds for which an RP refuses valid tokens: one that was just about to fetch.
   */
  readonly refusesFor: number
  /**
   * Seconds into the outage after which all RPs of the kind refuse valid tokens; null for never.
   */
  readonly allFrom: number | null
  /**
   * True if a token with an unknown kid, which anybody may send, makes the RP refuse all valid
   * tokens at once.
   */
  readonly endsByUnknownKid: boolean
  /** Time-out of a fetch in seconds; null if it is not known or the RP has none. */
  readonly waitsFor: number | null
}

const MINUTE = 60

/**
 * @param length seconds for which no RP gets an answer
 * @returns costs, the RP that refuses for the longest time first
 */
export function outageCosts(
  length: number,
  { jwksMaxAge }: { readonly jwksMaxAge: number },
  models: readonly RpModel[] = RP_MODELS,
): readonly OutageCost[] {
  return models
    .map((model): OutageCost => {
      const { name, standsFor, forgetsOnError = false, limit, timeout = null } = model
      const { spared, lifetime } = spareTime(model, jwksMaxAge)
      const hit = length - spared
      // The RP's own attempts have used up its look-ups of the minute after the outage.
      const after = limit === undefined ? 0 : MINUTE
      return {
        ...{ model: name, standsFor, waitsFor: timeout },
        refusesFor: hit > 0 ? hit + after : 0,
        allFrom: spared + lifetime < length ? spared + lifetime : null,
        endsByUnknownKid: forgetsOnError,
      }
    })
    .sort((a, b) => b.refusesFor - a.refusesFor || (a.allFrom ?? length) - (b.allFrom ?? length))
}

/** Least seconds for which an RP works without an answer, and the lifetime of a fresh answer. */
function spareTime(model: RpModel, maxAge: number): { spared: number; lifetime: number } {
  const lifetime = secondsOf(model.lifetime, maxAge)
  if (model.keeps === 'nothing') return { spared: 0, lifetime: 0 }
  // Keys are looked up again in a set that is kept for ever.
  if (model.keeps === 'keys of a set') return { spared: Infinity, lifetime }
  return { spared: lifetime === Infinity ? Infinity : model.keepsOnError, lifetime }
}
