/** Traits of a relying party (RP): how it keeps a JWKS. `models.ts` has the table of them. */

/** Seconds; Infinity if only another event makes the RP fetch again. */
export type Time =
  | number
  /** `max-age` of the answer plus `plus`, but at least `least`; these libraries ignore `Age`. */
  | { readonly from: 'max-age'; readonly least: number; readonly plus: number }

export interface RpModel {
  readonly name: string
  readonly standsFor: string
  /**
   * - `nothing`: fetches for each token
   * - `set`: the whole JWKS, replaced by the next
   * - `keys`: each key from its first use
   * - `keys of a set`: each key from its first use, taken from a set that is fetched only if it
   *   lacks the kid
   */
  readonly keeps: 'nothing' | 'set' | 'keys' | 'keys of a set'
  readonly lifetime: Time
  /**
   * Expired sets are replaced before a token is checked, by a timer, or after an answer was given.
   */
  readonly refresh: 'before' | 'by timer' | 'behind'
  /** Effect of an unknown kid: none, a fetch, or a fetch that comes too late for its token. */
  readonly unknownKid: 'refuse' | 'fetch' | 'fetch behind' | 'wait for poll'
  readonly coolDown: CoolDown
  /** Seconds between the polls that `wait for poll` waits for. */
  readonly poll?: number
  /** Seconds beyond its lifetime for which a set is trusted if it cannot be replaced. */
  readonly keepsOnError: number
  /** True if a failed fetch drops even a set whose lifetime is not over. */
  readonly forgetsOnError?: true
  /** Time-out of a fetch in seconds; absent if the library sets none or it is not known. */
  readonly timeout?: number
  /**
   * Number of replaced sets that are kept, and seconds for which each is trusted after the last
   * token that it accepted.
   */
  readonly oldSets?: { readonly most: number; readonly believedFor: number }
  /** Seconds for which an accepted token is accepted again without checking its key. */
  readonly keepsTokens?: number
  /**
   * An expired key that the JWKS lacks is trusted for its next token, and then as long as at most
   * this many seconds lie between two of its tokens.
   */
  readonly believesGone?: number
  /** Most look-ups per minute for all kids together; more are refused. */
  readonly limit?: number
  /**
   * Condition for a proof besides the policy. `advisory` models fail or work independently of the
   * policy: they are described and never counted.
   */
  readonly proof: 'always' | 'if busy' | 'if not flooded' | 'if restarted' | 'advisory'
  /** Advice for the operator of an `advisory` RP. */
  readonly advice?: string
}

/** Time after a fetch in which an unknown kid causes no other fetch. */
export interface CoolDown {
  readonly lasts: Time
  /** Fetches in that time; 1 by default. */
  readonly fetches?: number
  /** True if only fetches for unknown kids begin the time, so that the first of them is free. */
  readonly firstIsFree?: true
  /** True if a failed fetch begins the time too. */
  readonly countsFailures?: true
}

/** The time in seconds for an answer with that `max-age`. */
export function secondsOf(time: Time, maxAge: number): number {
  return typeof time === 'number' ? time : Math.max(time.least, maxAge + time.plus)
}
