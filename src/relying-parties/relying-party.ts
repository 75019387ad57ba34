import { type RpModel, secondsOf } from './models.ts'

/** Simulates an RP: its copy of the JWKS, its fetches, and the tokens that it refuses. */

/** A JWKS as an RP gets it. */
export interface Copy {
  readonly kids: ReadonlySet<string>
  /** Seconds of `max-age` in `Cache-Control`. */
  readonly maxAge: number
}

/**
 * The answer of a fetch that ends at an instant; undefined if it fails. Instants never decrease.
 */
export type FetchJwks = (at: number) => Copy | undefined

export interface RelyingParty {
  /**
   * Makes the RP fetch for invented kids as often as it may, so that its look-ups for other kids
   * are used up.
   */
  load(at: number): void
  /** True if the RP finds the key of a token. May fetch. */
  verify(kid: string, at: number): boolean
  /** Instant from which the RP fetches by itself or at its next token. */
  readonly expiresAt: number
}

const MINUTE = 60

/**
 * Most simulated fetches by timer in a long wait. Earlier fetches have no effect after so many,
 * because no cache and no node has an answer that old.
 */
const MOST_ROUNDS = 400

/** Seconds for which the RP keeps an answer. */
export function lifetimeOf({ lifetime }: RpModel, maxAge: number): number {
  return secondsOf(lifetime, maxAge)
}

/** Seconds after a fetch in which an unknown kid causes no other fetch. */
export function coolDownOf({ coolDown }: RpModel, maxAge: number): number {
  return secondsOf(coolDown.lasts, maxAge)
}

/** An RP that has just started. */
export function startRelyingParty(model: RpModel, fetchJwks: FetchJwks): RelyingParty {
  if (model.keeps === 'nothing') return keepNothing(fetchJwks)
  const rp = model.keeps === 'set' ? keepSet(model, fetchJwks) : keepKeys(model, fetchJwks)
  return model.keepsTokens === undefined ? rp : keepTokens(rp, model.keepsTokens)
}

function keepNothing(fetchJwks: FetchJwks): RelyingParty {
  return {
    load: () => {},
    verify: (kid, at) => fetchJwks(at)?.kids.has(kid) ?? false,
    expiresAt: -Infinity,
  }
}

/** A replaced set that is trusted until just before an instant. */
interface OldSet {
  readonly kids: ReadonlySet<string>
  readonly until: number
}

function keepSet(model: RpModel, fetchJwks: FetchJwks): RelyingParty {
  let set: Copy | undefined
  let fetchedAt = -Infinity
  /** Instant of the last due replacement of the set. */
  let roundAt = -Infinity
  /** Instant at which the set last accepted a token. */
  let lastGoodAt: number | undefined
  let oldSets: readonly OldSet[] = []
  let flaggedAt: number | undefined
  let coolsSince = -Infinity
  let fetchesLeft = 0

  const lifetime = () => lifetimeOf(model, set?.maxAge ?? 0)
  const expiresAt = () => roundAt + lifetime()
  const coolsUntil = () => coolsSince + coolDownOf(model, set?.maxAge ?? 0)

  /** @returns true if the fetch brought a set */
  function load(at: number, cause: 'kid' | 'time'): boolean {
    const mayAskTill = coolsUntil()
    const copy = fetchJwks(at)
    if (copy) replaceBy(copy, at)
    else if (model.forgetsOnError) set = undefined
    const { fetches = 1, firstIsFree, countsFailures } = model.coolDown
    if ((copy || countsFailures) && (cause === 'kid' || !firstIsFree)) {
      const isNew = at >= mayAskTill || fetches === 1
      if (isNew) coolsSince = at
      fetchesLeft = isNew ? fetches - 1 : fetchesLeft - 1
    }
    return copy !== undefined
  }

  function replaceBy(copy: Copy, at: number): void {
    const { oldSets: keeps } = model
    if (keeps && set && lastGoodAt !== undefined) {
      const old = { kids: set.kids, until: lastGoodAt + keeps.believedFor }
      const others = oldSets.filter(({ kids, until }) => at < until && !isSame(kids, old.kids))
      oldSets = [old, ...others].slice(0, keeps.most)
    }
    lastGoodAt = undefined
    set = copy
    fetchedAt = at
    roundAt = at
  }

  /** Does what is due independent of the kid. @returns true if the RP tried to fetch just now */
  function refresh(at: number): boolean {
    if (!set) {
      load(at, 'time')
      return true
    }
    if (model.refresh === 'by timer') {
      const rounds = Math.floor((at - expiresAt()) / lifetime())
      if (rounds > MOST_ROUNDS) roundAt += (rounds - MOST_ROUNDS) * lifetime()
      while (at >= expiresAt()) {
        const due = expiresAt()
        load(due, 'time')
        roundAt = due
      }
    }
    if (flaggedAt !== undefined && model.poll && at >= flaggedAt + model.poll) {
      load(flaggedAt + model.poll, 'kid')
      flaggedAt = undefined
    }
    const isDue = model.refresh === 'before' && at >= expiresAt()
    if (isDue) load(at, 'time')
    return isDue
  }

  /** True if the set has the kid and is not too old. */
  function finds(kid: string, at: number): boolean {
    if (at >= fetchedAt + lifetime() + model.keepsOnError) return false
    const isFound = set?.kids.has(kid) ?? false
    if (isFound) lastGoodAt = at
    return isFound
  }

  /** Reacts to an unknown kid. @returns true if the RP may look again for the same token */
  function ask(at: number): boolean {
    if (model.unknownKid === 'refuse') return false
    if (model.unknownKid === 'wait for poll') {
      flaggedAt ??= at
      return false
    }
    if (at < coolsUntil() && fetchesLeft <= 0) return false
    return load(at, 'kid') && model.unknownKid === 'fetch'
  }

  function verify(kid: string, at: number): boolean {
    const hasTried = refresh(at)
    const isFound = finds(kid, at)
    const isOld = model.refresh === 'behind' && at >= expiresAt()
    if (isOld) load(at, 'time')
    if (isFound) return true
    // Only one fetch for a token, unless it ran after the answer and the kid may cause another.
    const hasAsked = hasTried || (isOld && model.unknownKid === 'fetch behind')
    if (!hasAsked && ask(at) && finds(kid, at)) return true
    return oldSets.some(({ kids, until }) => at < until && kids.has(kid))
  }

  return {
    load: (at) => {
      load(at, 'kid')
      fetchesLeft = 0
    },
    verify,
    get expiresAt() {
      return expiresAt()
    },
  }
}

/** True if two sets have the same keys. */
function isSame(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size === b.size && a.isSubsetOf(b)
}

/** Cache entry of a key. */
interface Entry {
  readonly until: number
  /** Instant until which the key is trusted if the JWKS lacks it. */
  readonly goneUntil: number
}

function keepKeys(model: RpModel, fetchJwks: FetchJwks): RelyingParty {
  const entries = new Map<string, Entry>()
  let set: Copy | undefined
  let recent: readonly number[] = []

  /** True if another look-up is allowed; always true without a limit. */
  function isWithinLimit(at: number): boolean {
    recent = recent.filter((earlier) => earlier > at - MINUTE)
    if (recent.length >= (model.limit ?? Infinity)) return false
    recent = [...recent, at]
    return true
  }

  function isShown(kid: string, at: number): boolean {
    if (model.keeps === 'keys of a set' && set?.kids.has(kid)) return true
    const copy = fetchJwks(at)
    set = copy ?? set
    return copy?.kids.has(kid) ?? false
  }

  function verify(kid: string, at: number): boolean {
    const { believesGone } = model
    const entry = entries.get(kid)
    if (entry && at < entry.until) return true
    if (!isWithinLimit(at)) return false
    if (isShown(kid, at)) {
      const until = at + lifetimeOf(model, set?.maxAge ?? 0)
      entries.set(kid, { until, goneUntil: believesGone === undefined ? at : Infinity })
      return true
    }
    if (!entry || at >= entry.goneUntil) return false
    entries.set(kid, { ...entry, goneUntil: at + (believesGone ?? 0) })
    return true
  }

  return {
    load: (at) => {
      set = fetchJwks(at) ?? set
    },
    verify,
    expiresAt: Infinity,
  }
}

/** Accepts a token again that was accepted a moment ago, without checking its key. */
function keepTokens(rp: RelyingParty, seconds: number): RelyingParty {
  const accepted = new Map<string, number>()
  return {
    load: rp.load,
    verify: (kid, at) => {
      if (at < (accepted.get(kid) ?? -Infinity)) return true
      if (!rp.verify(kid, at)) return false
      accepted.set(kid, at + seconds)
      return true
    },
    get expiresAt() {
      return rp.expiresAt
    },
  }
}
