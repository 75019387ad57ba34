import type { Clock } from '../clock.ts'
import { createSeldomLog, type Log } from '../seldom-log.ts'
import type { Outage } from './outage.ts'

/** At most one line a second, because an outage makes every request fail. */
const SELDOM = { burst: 1, pause: 1 }

/** Logs some of the requests that failed by an outage, and how many there were. */
export function createOutageLog(
  log: Log,
  clock: Pick<Clock, 'elapsed'>,
): (request: object, outage: Outage) => void {
  const seldom = createSeldomLog(log, clock, SELDOM)
  return (request, outage) => {
    const data = { ...request, reason: outage.cause.message }
    seldom.error(data, 'a request failed because a store or the signing key is unavailable')
  }
}
