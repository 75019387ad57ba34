import type { Logger } from 'pino'
import type { Clock } from '../clock.ts'
import type { Outage } from './outage.ts'

/** Seconds from one line to the next. */
const PAUSE = 1

/**
 * Tells of requests that failed as something is unavailable: one of them now and then, and how many
 * there were besides. A line for each would fill the disk of a busy server before the store is back.
 */
export function createOutageLog(
  log: Pick<Logger, 'error'>,
  clock: Pick<Clock, 'elapsed'>,
): (request: object, outage: Outage) => void {
  let toldAt = -Infinity
  let untold = 0
  return (request, outage) => {
    if (clock.elapsed() - toldAt < PAUSE) {
      untold += 1
      return
    }
    const data = { ...request, reason: outage.cause.message, others: untold }
    log.error(data, 'a request failed as something is unavailable')
    toldAt = clock.elapsed()
    untold = 0
  }
}
