import { type RpModel, secondsOf } from './model.ts'

/** The JWKS that a simulated RP holds, with its age, its cool-down and the sets before it. */

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

/** The one set that an RP has at a time. Says nothing about when it is fetched. */
interface HeldSet {
  /** True unless the RP has no set: at its start, or after an error that made it forget. */
  readonly isThere: boolean
  readonly expiresAt: number
  /** Fetches. @returns true if the fetch brought a set */
  load(at: number, cause: 'kid' | 'time'): boolean
  /** Does all fetches that a timer would have done until an instant. */
  loadByTimer(at: number): void
  /** Fetches for an unknown kid as often as the cool-down allows. */
  loadAndUseUp(at: number): void
  /** True if the cool-down allows a fetch for an unknown kid. */
  mayAsk(at: number): boolean
  /** True if the set has the kid and is not too old. */
  finds(kid: string, at: number): boolean
  /** True if a replaced set that is still trusted has the kid. */
  oldHas(kid: string, at: number): boolean
}

/** A replaced set that is trusted until just before an instant. */
interface OldSet {
  readonly kids: ReadonlySet<string>
  readonly until: number
}

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

/** A set as an RP has it that has just started: none. */
export function createHeldSet(model: RpModel, fetchJwks: FetchJwks): HeldSet {
  let set: Copy | undefined
  let fetchedAt = -Infinity
  /** Instant of the last due replacement of the set. */
  let roundAt = -Infinity
  /** Instant at which the set last accepted a token. */
  let lastGoodAt: number | undefined
  let oldSets: readonly OldSet[] = []
  let coolsSince = -Infinity
  let fetchesLeft = 0

  const lifetime = () => lifetimeOf(model, set?.maxAge ?? 0)
  const expiresAt = () => roundAt + lifetime()
  const coolsUntil = () => coolsSince + coolDownOf(model, set?.maxAge ?? 0)

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

  function loadByTimer(at: number): void {
    const rounds = Math.floor((at - expiresAt()) / lifetime())
    if (rounds > MOST_ROUNDS) roundAt += (rounds - MOST_ROUNDS) * lifetime()
    while (at >= expiresAt()) {
      const due = expiresAt()
      load(due, 'time')
      roundAt = due
    }
  }

  return {
    get isThere() {
      return set !== undefined
    },
    get expiresAt() {
      return expiresAt()
    },
    load,
    loadByTimer,
    loadAndUseUp: (at) => {
      load(at, 'kid')
      fetchesLeft = 0
    },
    mayAsk: (at) => at >= coolsUntil() || fetchesLeft > 0,
    finds: (kid, at) => {
      if (at >= fetchedAt + lifetime() + model.keepsOnError) return false
      const isFound = set?.kids.has(kid) ?? false
      if (isFound) lastGoodAt = at
      return isFound
    },
    oldHas: (kid, at) => oldSets.some(({ kids, until }) => at < until && kids.has(kid)),
  }
}

/** True if two sets have the same keys. */
function isSame(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size === b.size && a.isSubsetOf(b)
}
