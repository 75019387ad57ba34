import { type Cluster, Redis, ReplyError } from 'ioredis'
import type { Clock } from '../clock.ts'
import { RETRY_PAUSE } from './client.ts'
import { explain, isCut, isOfDatabaseNumber } from './failures.ts'
import type { OutageWatch } from './outage.ts'

/** Whether a client is connected. Calls wait here for the connection. */
export interface Link {
  readonly isReady: boolean
  /** True while the connection uses another database number than redis.url names. */
  readonly isOnWrongDatabase: boolean
  /** True if a call need not wait: closed, or without a connection for longer than the timeout. */
  readonly isGivenUp: boolean
  /** Connects if that is not under way, and calls `wake` when the link is ready or closed. */
  wait(wake: () => void): void
  stopWaiting(wake: () => void): void
  /** Notes that a call has timed out. @param lastError error of its last attempt */
  noteTimeout(lastError: unknown): void
  close(): void
}

export interface LinkOptions {
  readonly outage: OutageWatch
  /** Seconds. */
  readonly timeout: number
  /** True if the client uses TLS. */
  readonly isSecure: boolean
  readonly clock: Pick<Clock, 'elapsed'>
}

/** Follows the events of a client, and reports what goes wrong as an outage. */
export function createLink(
  client: Redis | Cluster,
  { outage, timeout, isSecure, clock }: LinkOptions,
): Link {
  const waiting = new Set<() => void>()
  const closingReason = readClosingReason(client)
  let isClosed = false
  /** True if a call timed out while disconnected; later calls then fail at once. */
  let hasTimedOut = false
  /** Instant by the monotonic clock since when there is no connection. */
  let lostAt: number | undefined
  /** True while no connection has failed with a reason. */
  let isSilent = true
  let isOnWrongDatabase = false
  let wasReady = false
  /** A server that has never been ready may expect TLS, or no TLS. */
  const withHint = (reason: string) => (wasReady ? reason : withTlsHint(reason, isSecure))
  const wakeAll = () => {
    for (const wake of [...waiting]) wake()
  }

  client.on('ready', () => {
    wasReady = true
    if (isOnWrongDatabase) return
    hasTimedOut = false
    lostAt = undefined
    outage.end()
    wakeAll()
  })
  client.on('close', () => {
    isOnWrongDatabase = false
    if (isClosed) return
    lostAt ??= clock.elapsed()
    outage.begin(closingReason())
  })
  client.on('error', (error) => {
    // ioredis would continue with database 0.
    if (isOfDatabaseNumber(error)) isOnWrongDatabase = true
    isSilent = false
    lostAt ??= clock.elapsed()
    const reason = explain(error)
    outage.begin(closingReason() ?? (isCut(error) ? withHint(reason) : reason))
  })
  // ioredis gives up after an invalid answer of a Sentinel or a name server; Keyturn tries again.
  client.on('end', () => {
    if (!isClosed) setTimeout(open, RETRY_PAUSE.most)
  })

  function open(): void {
    if (isClosed || (client.status !== 'wait' && client.status !== 'end')) return
    // Failures are reported by the events above.
    client.connect().catch(() => {})
  }

  return {
    get isReady() {
      return client.status === 'ready'
    },
    get isOnWrongDatabase() {
      return isOnWrongDatabase
    },
    get isGivenUp() {
      const isLong = lostAt !== undefined && clock.elapsed() - lostAt > timeout
      return isClosed || hasTimedOut || isLong
    },
    wait: (wake) => {
      waiting.add(wake)
      open()
    },
    stopWaiting: (wake) => {
      waiting.delete(wake)
    },
    noteTimeout: (lastError) => {
      hasTimedOut = client.status !== 'ready'
      if (lastError instanceof ReplyError) outage.begin(explain(lastError))
      else if (isSecure && !wasReady && isSilent) outage.begin(withHint('it does not answer'))
      else outage.begin()
    },
    close: () => {
      isClosed = true
      client.disconnect()
      wakeAll()
    },
  }
}

/** Errors that a server writes to a connection that it closes at once. */
const CLOSING_ERRORS = /^-(ERR max number of clients|DENIED)/

/**
 * Reads the error that Redis sends on a connection before closing it. Reads the socket itself,
 * because ioredis reports an unrequested error only as a lost connection.
 * @returns the reason of the newest connection, if there is one
 */
function readClosingReason(client: Redis | Cluster): () => string | undefined {
  let closingError: string | undefined
  client.on('connect', () => {
    if (!(client instanceof Redis)) return
    closingError = undefined
    client.stream.once('data', (chunk: Buffer) => {
      const [line = ''] = chunk.toString('latin1').split('\r\n', 1)
      if (CLOSING_ERRORS.test(line)) closingError = line.slice(1)
    })
  })
  return () => (closingError === undefined ? undefined : explain(new Error(closingError)))
}

function withTlsHint(reason: string, isSecure: boolean): string {
  return isSecure
    ? `${reason}; does it speak TLS on this port?`
    : `${reason}; does it want TLS (rediss://) on this port?`
}
