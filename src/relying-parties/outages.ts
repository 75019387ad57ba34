import { RP_MODELS, type RpModel, secondsOf } from './models.ts'

/**
 * What it costs relying parties (RPs) if the JWKS cannot be had for some time, or comes more slowly than
 * they wait for it: tokens are good, their keys known, and all the same some RPs refuse them. Pure. A
 * test lets every model go through outages, second by second, and finds the same.
 */
export interface OutageCost {
  readonly model: string
  readonly standsFor: string
  /** Seconds for which an RP of the kind refuses good tokens at most: one that was just about to fetch. */
  readonly refusesFor: number
  /** Seconds into the outage from which all RPs of the kind refuse them; null: it does not come to that. */
  readonly allFrom: number | null
  /** A token of an unknown kid, which anybody may send, makes it refuse all good ones at once. */
  readonly endsByUnknownKid: boolean
  /** A JWKS that takes longer, in seconds, cannot be had; null: not known, or no limit of its own. */
  readonly waitsFor: number | null
}

const MINUTE = 60

/**
 * @param length seconds for which no RP gets an answer
 * @returns what refuses first comes first
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
      // Its own tries have used up what it may ask in the minute after.
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

/** How long an RP does without an answer at least, and how much longer if it has just had one. */
function spareTime(model: RpModel, maxAge: number): { spared: number; lifetime: number } {
  const lifetime = secondsOf(model.lifetime, maxAge)
  if (model.keeps === 'nothing') return { spared: 0, lifetime: 0 }
  // A set that is kept for ever is where such a key is looked up again.
  if (model.keeps === 'keys of a set') return { spared: Infinity, lifetime }
  return { spared: lifetime === Infinity ? Infinity : model.keepsOnError, lifetime }
}
