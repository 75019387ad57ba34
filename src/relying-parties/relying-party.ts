import { type Copy, createHeldSet, type FetchJwks, lifetimeOf } from './held-set.ts'
import type { RpModel } from './model.ts'

/** Simulates an RP: its copy of the JWKS, its fetches, and the tokens that it refuses. */

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

/** Keeps the whole JWKS, and decides when it is fetched again. */
function keepSet(model: RpModel, fetchJwks: FetchJwks): RelyingParty {
  const held = createHeldSet(model, fetchJwks)
  /** Instant of the unknown kid that the next poll is for. */
  let flaggedAt: number | undefined

  /** Does what is due independent of the kid. @returns true if the RP tried to fetch just now */
  function refresh(at: number): boolean {
    if (!held.isThere) {
      held.load(at, 'time')
      return true
    }
    if (model.refresh === 'by timer') held.loadByTimer(at)
    if (flaggedAt !== undefined && model.poll && at >= flaggedAt + model.poll) {
      held.load(flaggedAt + model.poll, 'kid')
      flaggedAt = undefined
    }
    const isDue = model.refresh === 'before' && at >= held.expiresAt
    if (isDue) held.load(at, 'time')
    return isDue
  }

  /** Reacts to an unknown kid. @returns true if the RP may look again for the same token */
  function ask(at: number): boolean {
    if (model.unknownKid === 'refuse') return false
    if (model.unknownKid === 'wait for poll') {
      flaggedAt ??= at
      return false
    }
    if (!held.mayAsk(at)) return false
    return held.load(at, 'kid') && model.unknownKid === 'fetch'
  }

  function verify(kid: string, at: number): boolean {
    const hasTried = refresh(at)
    const isFound = held.finds(kid, at)
    const isOld = model.refresh === 'behind' && at >= held.expiresAt
    if (isOld) held.load(at, 'time')
    if (isFound) return true
    // Only one fetch for a token, unless it ran after the answer and the kid may cause another.
    const hasAsked = hasTried || (isOld && model.unknownKid === 'fetch behind')
    if (!hasAsked && ask(at) && held.finds(kid, at)) return true
    return held.oldHas(kid, at)
  }

  return {
    load: held.loadAndUseUp,
    verify,
    get expiresAt() {
      return held.expiresAt
    },
  }
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
