import type { Clock } from '../clock.ts'

/**
 * Limits of accounts that were lifted: after an account is changed - a new password, `accounts unlock` - what was
 * counted against it before counts no more. Nobody can find the counts to set them back, as they are
 * kept by address and in the memory of other processes. So each process begins new ones instead, once
 * it finds at a limit that the account was changed after its count began.
 */
export interface Lifts {
  /** What counts of this name are kept under besides it. */
  mark(name: string): string
  /**
   * @param wait seconds until the count that reached its limit begins anew
   * @returns whether the limit was lifted: `mark` is another one then
   */
  look(name: string, wait: number, changedAt: () => Promise<number | undefined>): Promise<boolean>
}

/** Seconds: instants are whole ones, and those of a change are by the clock of the database. */
const TOLERANCE = 2
/** Accounts that operators change within one window, and more. */
const MOST = 10_000

/** @param window seconds that a count lasts */
export function createLifts(window: number, clock: Pick<Clock, 'now'>): Lifts {
  const liftedAt = new Map<string, number>()

  /** Until every count of before has ended. */
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
