import { Cluster, Redis, type RedisOptions, ReplyError } from 'ioredis'
import type { Clock } from '../clock.ts'
import { redisServer } from '../connection/redis-url.ts'
import { tlsOptions } from '../connection/tls-options.ts'
import { StoreUnavailable } from '../errors.ts'
import { createOutageWatch, type RedisStatus } from './outage.ts'

/** Redis settings of the configuration; `timeout` in seconds. */
export interface RedisSettings {
  readonly url: string
  readonly cluster: readonly string[]
  readonly sentinels: readonly string[]
  readonly master: string
  readonly prefix: string
  readonly timeout: number
}

export interface RedisConnection {
  /**
   * Standalone, Sentinel or Cluster. Callers that bypass `run` must handle time-outs and retries
   * themselves.
   */
  readonly client: Redis | Cluster
  /** Prefix of every key and channel. */
  readonly prefix: string
  readonly status: RedisStatus
  /**
   * Sends commands, and sends them again if the connection broke or a failover is under way, so
   * `send` must be idempotent. Never takes longer than the timeout; fails at once if Redis has been
   * unreachable for longer than that.
   * @param what completes "Cannot ..."
   * @throws StoreUnavailable
   */
  run<T>(what: string, send: () => Promise<T>, how?: { readonly isRead?: boolean }): Promise<T>
  /** For callers that bypass `run`: reports that Redis refused a command. */
  refused(error: unknown): void
  /** Runs a job at the end of this turn of the event loop, just before its commands are sent. */
  atEndOfTurn(job: () => void): void
  /** Opens a connection for messages; to any node of a Cluster, because each gets all messages. */
  openListener(): Redis
  close(): void
}

const STANDARD_PORT = 6379

/** Milliseconds between attempts to connect or to send a command, which double up to the limit. */
const RETRY_PAUSE = { first: 20, most: 500 }

/** Errors that mean that another node, or the same one in a moment, will execute the command. */
const TEMPORARY_ERRORS = [
  'LOADING',
  'READONLY',
  'MASTERDOWN',
  'CLUSTERDOWN',
  'TRYAGAIN',
  'MOVED',
  'ASK',
]

/** Errors that a server writes to a connection that it closes at once. */
const CLOSING_ERRORS = /^-(ERR max number of clients|DENIED)/

const HINTS: Readonly<Record<string, string>> = {
  DENIED:
    'it is in protected mode: it takes connections of its own machine only, as it has no password',
  NOAUTH: 'it asks for a password; put it into redis.url',
  WRONGPASS: 'it refuses the user or password of redis.url',
  OOM: 'it is full; give it more memory (maxmemory)',
  MISCONF: 'it cannot write to its disk and refuses writes',
}

/** Connects with the first command, or when `client.connect()` is called. */
export function openRedis(settings: RedisSettings, clock: Clock): RedisConnection {
  const { prefix } = settings
  const timeout = settings.timeout * 1000
  const options = connectionOptions(settings)
  const client = connect(settings, options)
  const outage = createOutageWatch({ where: describe(settings), clock })
  const waiting = new Set<() => void>()
  let isClosed = false
  /** True if a call timed out while disconnected; later calls then fail at once. */
  let hasTimedOut = false
  /** Instant by the monotonic clock since when there is no connection. */
  let lostAt: number | undefined
  /** True while no connection has failed with a reason. */
  let isSilent = true
  /** True while the connection uses another database number than redis.url names. */
  let isOnWrongDatabase = false

  /** Error that Redis sent on a connection before closing it. */
  let closingError: string | undefined
  let wasReady = false
  const isSecure = options.tls !== undefined
  /** Adds a hint to the reason: a server that has never been ready may expect TLS, or no TLS. */
  const withTlsHint = (reason: string) => {
    if (wasReady) return reason
    return isSecure
      ? `${reason}; does it speak TLS on this port?`
      : `${reason}; does it want TLS (rediss://) on this port?`
  }
  /**
   * Reads the socket itself, because ioredis reports an unrequested error only as a lost
   * connection.
   */
  client.on('connect', () => {
    if (!(client instanceof Redis)) return
    closingError = undefined
    client.stream.once('data', (chunk: Buffer) => {
      const [line = ''] = chunk.toString('latin1').split('\r\n', 1)
      if (CLOSING_ERRORS.test(line)) closingError = line.slice(1)
    })
  })
  client.on('ready', () => {
    wasReady = true
    if (isOnWrongDatabase) return
    hasTimedOut = false
    lostAt = undefined
    outage.end()
    for (const wake of [...waiting]) wake()
  })
  client.on('close', () => {
    isOnWrongDatabase = false
    if (isClosed) return
    lostAt ??= clock.elapsed()
    outage.begin(closingError === undefined ? undefined : explain(new Error(closingError)))
  })
  client.on('error', (error) => {
    // ioredis would continue with database 0.
    if (/DB index is out of range/.test(error.message)) isOnWrongDatabase = true
    isSilent = false
    lostAt ??= clock.elapsed()
    const reason = closingError === undefined ? explain(error) : explain(new Error(closingError))
    outage.begin(isCut(error) && closingError === undefined ? withTlsHint(reason) : reason)
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

  let isGathering = false
  let endOfTurnJobs: (() => void)[] = []
  /**
   * Writes all commands of one turn of the event loop at once. ioredis's own `enableAutoPipelining`
   * costs twice the processor time, delays a batch until the one before is answered, and in a
   * Cluster passes redirections to the caller.
   */
  function gather(): void {
    if (isGathering) return
    isGathering = true
    const nodes = client instanceof Cluster ? client.nodes('master') : [client]
    const streams = nodes.map((node) => node.stream)
    for (const stream of streams) stream?.cork()
    setImmediate(() => {
      const jobs = endOfTurnJobs
      endOfTurnJobs = []
      try {
        for (const job of jobs) job()
      } finally {
        isGathering = false
        for (const stream of streams) stream?.uncork()
      }
    })
  }

  // Covers all users of `client`, including libraries. Only a Cluster's method has a node as
  // argument.
  const sendCommand: Cluster['sendCommand'] = client.sendCommand.bind(client)
  client.sendCommand = (...command: Parameters<typeof sendCommand>) => {
    gather()
    return sendCommand(...command)
  }

  function run<T>(what: string, send: () => Promise<T>, { isRead = false } = {}): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    let isSettled = false
    let lastError: unknown
    /**
     * Attempts that may have been executed without an answer; the answer to a later attempt does
     * not tell.
     */
    const sent = { isUnanswered: false, wasLost: false }
    let pause = RETRY_PAUSE.first
    let retry: NodeJS.Timeout | undefined
    const deadline = setTimeout(() => {
      hasTimedOut = client.status !== 'ready'
      if (lastError instanceof ReplyError) outage.begin(explain(lastError))
      else if (isSecure && !wasReady && isSilent) outage.begin(withTlsHint('it does not answer'))
      else outage.begin()
      fail()
    }, timeout)

    const settle = () => {
      isSettled = true
      clearTimeout(deadline)
      clearTimeout(retry)
      waiting.delete(attempt)
    }
    const fail = () => {
      settle()
      const mayBeDone = sent.isUnanswered || sent.wasLost
      reject(
        mayBeDone && !isRead
          ? new StoreUnavailable(
              `It is not known whether this was done: ${what}. No answer came: ${outage.detail}`,
              lastError,
              { mayBeDone },
            )
          : new StoreUnavailable(`Cannot ${what}: ${outage.detail}`, lastError),
      )
    }
    const succeed = (result: T) => {
      settle()
      outage.end()
      resolve(result)
    }
    const tryAgain = (error: unknown) => {
      if (isSettled) return
      lastError = error
      sent.isUnanswered = false
      if (!(error instanceof ReplyError)) sent.wasLost = true
      if (isTemporary(error)) {
        pause = Math.min(pause * 2, RETRY_PAUSE.most)
        retry = setTimeout(attempt, pause)
        return
      }
      outage.refuse(explain(error))
      fail()
    }
    const attempt = () => {
      waiting.delete(attempt)
      if (isOnWrongDatabase) return fail()
      if (client.status === 'ready') {
        sent.isUnanswered = true
        send().then(succeed, tryAgain)
        return
      }
      const isLong = lostAt !== undefined && clock.elapsed() - lostAt > settings.timeout
      if (isClosed || hasTimedOut || isLong) {
        fail()
        return
      }
      waiting.add(attempt)
      open()
    }
    attempt()
    return promise
  }

  return {
    client,
    prefix,
    status: outage,
    run,
    refused: (error) => outage.refuse(explain(error)),
    atEndOfTurn: (job) => {
      endOfTurnJobs.push(job)
      gather()
    },
    openListener: () => {
      const listener = { ...options, autoResubscribe: false, lazyConnect: true }
      if (client instanceof Redis) return client.duplicate(listener)
      const known = client.nodes().map(({ options: { host, port } }) => ({ host, port }))
      const nodes = known.length > 0 ? known : settings.cluster.map(parseNode)
      const node = nodes[Math.floor(Math.random() * nodes.length)]
      // No retries, because the node may never come back: after `end` another node is used.
      return new Redis({ ...listener, ...node, retryStrategy: null })
    },
    close: () => {
      isClosed = true
      client.disconnect()
      for (const wake of [...waiting]) wake()
    },
  }
}

function connectionOptions({ url: text, timeout }: RedisSettings) {
  const { host, port = STANDARD_PORT, user, password, number, tls: request } = redisServer(text)
  const tls = tlsOptions(request, 'redis.url')
  return {
    host,
    port,
    ...(user !== undefined && { username: user }),
    ...(password !== undefined && { password }),
    db: number,
    ...(tls && { tls }),
    connectTimeout: timeout * 1000,
    // Closes and reopens the connection if the server stopped answering.
    socketTimeout: timeout * 1000,
    // `run` waits, bounds and repeats, so no command is sent after its caller has given up.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    retryStrategy: retryPause,
    // After a failover by Sentinels the old master is a replica.
    reconnectOnError: (error) => says(error, 'READONLY'),
    lazyConnect: true,
  } satisfies RedisOptions
}

function connect(
  { cluster, sentinels, master }: RedisSettings,
  options: ReturnType<typeof connectionOptions>,
): Redis | Cluster {
  if (sentinels.length > 0) {
    return new Redis({
      ...options,
      sentinels: sentinels.map(parseNode),
      name: master,
      sentinelRetryStrategy: retryPause,
      ...(options.tls && { enableTLSForSentinelMode: true, sentinelTLS: options.tls }),
    })
  }
  if (cluster.length === 0) return new Redis(options)
  const { host, port, db, retryStrategy, enableOfflineQueue, lazyConnect, ...redisOptions } =
    options
  return new Cluster(cluster.map(parseNode), {
    redisOptions,
    // Each node is connected by the first command for it; later commands wait for that connection.
    enableOfflineQueue: true,
    lazyConnect: true,
    clusterRetryStrategy: retryPause,
    // Node names are kept, because certificates have the name of a node and not its address.
    ...(options.tls && { dnsLookup: (name, callback) => callback(null, name) }),
  })
}

function retryPause(times: number): number {
  return Math.min(RETRY_PAUSE.first * 2 ** Math.min(times - 1, 10), RETRY_PAUSE.most)
}

function parseNode(text: string): { host: string; port: number } {
  const colon = text.lastIndexOf(':')
  const host = text.slice(0, colon).replace(/^\[|\]$/g, '')
  return { host, port: Number(text.slice(colon + 1)) }
}

/** Describes the Redis of the settings, without user and password. */
function describe({ url, cluster, sentinels, master }: RedisSettings): string {
  if (cluster.length > 0) return `Redis Cluster ${cluster.join(', ')} (redis.cluster)`
  if (sentinels.length > 0) {
    return `Redis master ${master} of the Sentinels ${sentinels.join(', ')} (redis.sentinels)`
  }
  return `Redis at ${new URL(url).host} (redis.url)`
}

/** True if the other end closed the connection. */
function isCut({ message }: Error): boolean {
  return /ECONNRESET|EPIPE|Connection is closed|socket hang up/.test(message)
}

function isTemporary(error: unknown): boolean {
  if (!(error instanceof ReplyError)) return true
  // A ReplyError is an Error, although its type lacks that.
  return TEMPORARY_ERRORS.some((word) => says(error as Error, word))
}

/** True if the message has the error code; scripts of Redis 6 wrap the errors of their commands. */
function says({ message }: Error, word: string): boolean {
  return message.startsWith(word) || message.includes(`-${word} `)
}

/** The reason in words, without arguments of commands. */
function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const [word = ''] = error.message.split(' ', 1)
  // A Cluster has the error of the last node that was tried.
  const { lastNodeError } = error as { lastNodeError?: unknown }
  if (lastNodeError instanceof Error) return explain(lastNodeError)
  if (/DB index is out of range/.test(error.message)) {
    return 'it has no database of the number that redis.url names'
  }
  if (error.message.startsWith('All sentinels are unreachable')) {
    return 'none of the Sentinels answers, or none knows the master'
  }
  // NOPERM names the command or the kind of key, never an argument.
  if (word === 'NOPERM') return `the ACL of the user of redis.url forbids it: ${error.message}`
  return HINTS[word] ?? error.message
}
