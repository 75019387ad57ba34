import type { Clock } from '../clock.ts'
import type { RingLog } from './ring-log.ts'

export interface WatchClockOptions {
  readonly clock: Clock
  /** Largest believable step of the wall clock between two turns, in seconds. */
  readonly clockSkew: number
  /** Seconds. */
  readonly maxRingAge: number
  readonly log: Pick<RingLog, 'warn'>
}

/**
 * Compares wall-clock time with time that cannot be set. A clock that is set back needs no care,
 * because phases follow it and a key without its private half is not asked to sign again
 * (`lifecycle.ts`). After a jump forward, and after a start, whose clock may be wrong as well, the
 * clock counts as settled once `maxRingAge` has passed, in case somebody sets the clock right again
 * (`destruction.ts`).
 */
export function watchClock({ clock, clockSkew, maxRingAge, log }: WatchClockOptions) {
  let last: { now: number; elapsed: number } | undefined
  let settledFrom = clock.elapsed() + maxRingAge

  return {
    begin(): { now: number; isClockSettled: boolean } {
      const now = clock.now()
      const elapsed = clock.elapsed()
      const jump = last ? now - last.now - (elapsed - last.elapsed) : 0
      last = { now, elapsed }
      if (Math.abs(jump) > clockSkew) {
        const seconds = Math.round(jump)
        log.warn({ jump: seconds }, `the system clock was moved by ${seconds} s`)
        if (jump > 0) settledFrom = elapsed + maxRingAge
      }
      return { now, isClockSettled: elapsed >= settledFrom }
    },
  }
}
