import type { Clock } from '../clock.ts'

/**
 * What the ring asks of a second clock that all nodes share, such as the database's
 * (`nodes/database-clock.ts`): a key must neither sign before its time nor after it because one
 * node's clock is wrong.
 */
export interface ClockCheck {
  /** Compares both clocks. Without an answer the last comparison stands. Never rejects. */
  compare(): Promise<void>
  /** Seconds that this node's clock is ahead; undefined where nothing was compared. */
  offset(): number | undefined
  /** Is this node's clock within the allowed skew, as far as can be known? */
  isRight(): boolean
  /** Seconds since the epoch by the shared clock; by this node's where there is none. */
  now(): number
}

/** For a process without a second clock: its own clock counts as right. */
export function ownClockOnly(clock: Pick<Clock, 'now'>): ClockCheck {
  return {
    compare: async () => {},
    offset: () => undefined,
    isRight: () => true,
    now: () => clock.now(),
  }
}
