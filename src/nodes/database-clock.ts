import type { Clock } from '../clock.ts'
import type { ClockCheck } from '../ring/clock-check.ts'
import type { NodeStore } from './node-store.ts'

/**
 * This node's clock beside the database's, which all nodes share: a token that is dated by a wrong
 * clock is refused by whoever has a right one, and a key must not sign before its time.
 */
export interface DatabaseClock extends ClockCheck {
  /** `now` with fraction. */
  exact(): number
}

export interface DatabaseClockOptions {
  readonly store: Pick<NodeStore, 'time'>
  readonly clock: Clock
  /** Largest difference allowed, in seconds. */
  readonly clockSkew: number
}

export function createDatabaseClock({
  store,
  clock,
  clockSkew,
}: DatabaseClockOptions): DatabaseClock {
  /** `ahead`: our clock less theirs. `drift`: our clock less the time that cannot be set. */
  let compared: { ahead: number; uncertainty: number; drift: number } | undefined
  const drift = () => clock.exact() - clock.elapsed()

  const offset = () => compared && compared.ahead + drift() - compared.drift
  const exact = () => clock.exact() - (offset() ?? 0)
  return {
    compare: async () => {
      const askedAt = clock.elapsed()
      const theirs = await store.time().catch(() => undefined)
      if (theirs === undefined) return
      // They answered at some moment in between, most likely in the middle.
      const uncertainty = (clock.elapsed() - askedAt) / 2
      const ours = clock.exact() - uncertainty
      // A slow answer says less than a quick one before it, as how the clock went since is known.
      if (compared && uncertainty > Math.max(compared.uncertainty, clockSkew / 4)) return
      compared = { ahead: ours - theirs, uncertainty, drift: drift() }
    },
    offset,
    isRight: () => Math.abs(offset() ?? 0) - (compared?.uncertainty ?? 0) <= clockSkew,
    now: () => Math.floor(exact()),
    exact,
  }
}
