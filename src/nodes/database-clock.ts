import type { Clock } from '../clock.ts'
import type { ClockCheck } from '../ring/clock-check.ts'
import type { NodeStore } from './node-store.ts'

/**
 * Compares this node's clock with the database's, which all nodes share, because a token that is
 * dated by a wrong clock is refused by verifiers with a right one, and a key must not sign before
 * its time.
 */
export interface DatabaseClock extends ClockCheck {
  /** The database's time with fraction. */
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
  /** `ahead`: this clock minus the database's. `drift`: this clock minus the monotonic clock. */
  let compared: { ahead: number; uncertainty: number; drift: number } | undefined
  const drift = () => clock.exact() - clock.elapsed()

  const offset = () => compared && compared.ahead + drift() - compared.drift
  const exact = () => clock.exact() - (offset() ?? 0)
  return {
    compare: async () => {
      const askedAt = clock.elapsed()
      const databaseTime = await store.time().catch(() => undefined)
      if (databaseTime === undefined) return
      // The database read its clock between request and answer, most likely in the middle.
      const uncertainty = (clock.elapsed() - askedAt) / 2
      const nodeTime = clock.exact() - uncertainty
      // A slow answer is less exact than an earlier quick one, because the drift since then is
      // known.
      if (compared && uncertainty > Math.max(compared.uncertainty, clockSkew / 4)) return
      compared = { ahead: nodeTime - databaseTime, uncertainty, drift: drift() }
    },
    offset,
    isRight: () => Math.abs(offset() ?? 0) - (compared?.uncertainty ?? 0) <= clockSkew,
    now: () => Math.floor(exact()),
    exact,
  }
}
