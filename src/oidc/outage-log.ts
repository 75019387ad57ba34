import type { Clock } from '../clock.ts'
import { createSeldomLog, type Log } from '../seldom-log.ts'
import type { Outage } from './outage.ts'

/** One line, and then one a second: what is out costs every request, and is told by one. */
const SELDOM = { burst: 1, pause: 1 }

/** Tells of requests that failed as something is unavailable: some of them, and how many there were. */
export function createOutageLog(
  log: Log,
  clock: Pick<Clock, 'elapsed'>,
): (request: object, outage: Outage) => void {
  const seldom = createSeldomLog(log, clock, SELDOM)
  return (request, outage) => {
    const data = { ...request, reason: outage.cause.message }
    seldom.error(data, 'a request failed as something is unavailable')
  }
}
