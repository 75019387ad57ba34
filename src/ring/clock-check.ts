import type { Clock } from '../clock.ts'
import { ClockWrong } from '../errors.ts'

/**
 * A second clock that all nodes share, such as the database's (`nodes/database-clock.ts`): a key
 * must neither sign before its time nor after it because one node's clock is wrong.
 */
export interface ClockCheck {
  /**
   * Compares both clocks. If the second clock does not answer, the last comparison stands. Never
   * rejects.
   */
  compare(): Promise<void>
  /** Seconds that this node's clock is ahead; undefined before the first comparison. */
  offset(): number | undefined
  /** True if this node's clock is within the allowed skew, as far as is known. */
  isRight(): boolean
  /**
   * Seconds since the epoch by the shared clock, or by this node's clock if there is no shared one.
   */
  now(): number
}

/** @throws ClockWrong if this node's clock is further off than allowed */
export function requireRight(check: Pick<ClockCheck, 'isRight' | 'offset'>): void {
  if (!check.isRight()) throw new ClockWrong(check.offset() ?? 0)
}

/** A check for a process without a second clock, whose own clock counts as right. */
export function ownClockOnly(clock: Pick<Clock, 'now'>): ClockCheck {
  return {
    compare: async () => {},
    offset: () => undefined,
    isRight: () => true,
    now: () => clock.now(),
  }
}
