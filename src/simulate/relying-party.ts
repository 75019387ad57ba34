import type { RpModel } from './models.ts'

/** One RP: what it keeps of the JWKS, when it fetches, which tokens it refuses. */

/** A JWKS as an RP gets it. */
export interface Copy {
  readonly kids: ReadonlySet<string>
  /** Seconds, as its `Cache-Control` says. */
  readonly maxAge: number
}

export interface RelyingParty {
  /** Fetches, as at its start, at its timer, or for a kid that somebody invented. */
  load(at: number): void
  /** Does it find the key of a token? May fetch. */
  verify(kid: string, at: number): boolean
  /** When it fetches next by itself or at its next token. */
  readonly expiresAt: number
}

const MINUTE = 60

/**
 * Fetches by timer in one wait of years; those before have no trace once so many have followed, as
 * no cache and no node answers with what is older.
 */
const MOST_ROUNDS = 2_000

/** For how long it keeps an answer, in seconds. */
export function lifetimeOf({ lifetime }: RpModel, maxAge: number): number {
  if (typeof lifetime === 'number') return lifetime
  return Math.max(lifetime.least, maxAge) + lifetime.slack
}

/** For how long after a fetch an unknown kid causes no other, in seconds. */
export function coolDownOf({ coolDown }: RpModel, maxAge: number): number {
  return coolDown === 'max-age' ? maxAge : coolDown
}

/**
 * An RP that has just started.
 * @param fetchJwks the answer of a fetch that ends at an instant; instants never decrease
 */
export function startRelyingParty(model: RpModel, fetchJwks: (at: number) => Copy): RelyingParty {
  const expiries = new Map<string, number>()
  let set: Copy | undefined
  let before: Copy | undefined
  let fetchedAt = -Infinity
  let flaggedAt: number | undefined
  let recent: readonly number[] = []

  const lifetime = () => lifetimeOf(model, set?.maxAge ?? 0)
  const coolDown = () => coolDownOf(model, set?.maxAge ?? 0)

  function load(at: number): void {
    const copy = fetchJwks(at)
    before = set
    set = copy
    fetchedAt = at
  }

  /** Unless it has fetched too often; how often is no matter to those without a limit. */
  function loadWithinLimit(at: number): boolean {
    recent = recent.filter((earlier) => earlier > at - MINUTE)
    if (recent.length >= (model.limit ?? Infinity)) return false
    recent = [...recent, at]
    load(at)
    return true
  }

  function verifyByKey(kid: string, at: number): boolean {
    if (at < (expiries.get(kid) ?? -Infinity)) return true
    const isThere = model.keeps === 'keys of a set' && set?.kids.has(kid)
    if (!isThere && !(loadWithinLimit(at) && set?.kids.has(kid))) return false
    expiries.set(kid, at + lifetime())
    return true
  }

  function verifyBySet(kid: string, at: number): boolean {
    if (!set) load(at)
    if (model.refresh === 'by timer') {
      const rounds = Math.floor((at - expiresAt()) / lifetime())
      if (rounds > MOST_ROUNDS) fetchedAt += (rounds - MOST_ROUNDS) * lifetime()
      while (at >= expiresAt()) load(expiresAt())
    }
    if (model.refresh === 'before' && at >= expiresAt()) load(at)
    if (flaggedAt !== undefined && model.poll && at >= flaggedAt + model.poll) {
      load(flaggedAt + model.poll)
      flaggedAt = undefined
    }
    const found = set?.kids.has(kid) || believesOld(kid, at)
    if (model.refresh === 'behind' && at >= expiresAt()) load(at)
    if (found || model.unknownKid === 'refuse') return found
    if (model.unknownKid === 'wait for poll') {
      flaggedAt ??= at
      return false
    }
    if (at < fetchedAt + coolDown()) return false
    load(at)
    return model.unknownKid === 'fetch' && (set?.kids.has(kid) ?? false)
  }

  const believesOld = (kid: string, at: number) =>
    at < fetchedAt + (model.lastKnownGood ?? 0) && (before?.kids.has(kid) ?? false)
  const expiresAt = () => fetchedAt + lifetime()

  return {
    load,
    verify: (kid, at) => {
      if (model.keeps === 'nothing') return fetchJwks(at).kids.has(kid)
      return model.keeps === 'set' ? verifyBySet(kid, at) : verifyByKey(kid, at)
    },
    get expiresAt() {
      return expiresAt()
    },
  }
}
