import type { Clock } from '../clock.ts'

/**
 * Lifts the limits of an account after a change of it, such as a new password or `accounts unlock`.
 * The counts cannot be found and reset, because they are kept by address and in the memory of other
 * processes. Instead, a process that reaches a limit and finds that the account changed after the
 * count began starts new counts under another key.
 */
export interface Lifts {
  /** Suffix of the key for counts of this name. */
  mark(name: string): string
  /**
   * Lifts the limit if the account changed after its count began.
   * @param wait seconds until the full count begins anew
   * @returns true if the limit was lifted, so that `mark` has changed
   */
  look(name: string, wait: number, changedAt: () => Promise<number | undefined>): Promise<boolean>
}

/** Seconds of tolerance, because instants are rounded and changes use the database's clock. */
const TOLERANCE = 2
/** Most names kept, far more than the accounts that change within one window. */
const MOST = 10_000

/** @param window seconds that a count lasts */
export function createLifts(window: number, clock: Pick<Clock, 'now'>): Lifts {
  const liftedAt = new Map<string, number>()

  /** The instant of the lift, until all counts from before it have ended. */
  function current(name: string): number | undefined {
    const at = liftedAt.get(name)
    return at !== undefined && clock.now() < at + window ? at : undefined
  }

  return {
    mark(name) {
      const at = current(name)
      return at === undefined ? '' : `@${at}`
    },

    async look(name, wait, changedAt) {
      const before = current(name)
      const begunAt = clock.now() + wait - window
      const at = await changedAt()
      if (at === undefined || at === before || at < begunAt - TOLERANCE) return false
      if (liftedAt.size >= MOST) liftedAt.clear()
      liftedAt.set(name, at)
      return current(name) !== before
    },
  }
}
