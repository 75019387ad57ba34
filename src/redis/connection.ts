import { Cluster, Redis, type RedisOptions, ReplyError } from 'ioredis'
import type { Clock } from '../clock.ts'
import { redisServer } from '../connection/redis-url.ts'
import { tlsOptions } from '../connection/tls-options.ts'
import { StoreUnavailable } from '../errors.ts'
import { createOutageWatch, type RedisStatus } from './outage.ts'

/** As in the configuration; `timeout` in seconds. */
export interface RedisSettings {
  readonly url: string
  readonly cluster: readonly string[]
  readonly sentinels: readonly string[]
  readonly master: string
  readonly prefix: string
  readonly timeout: number
}

export interface RedisConnection {
  /** Standalone, Sentinel or Cluster. Whoever calls it past `run` bounds and retries by himself. */
  readonly client: Redis | Cluster
  /** Begins every key and channel. */
  readonly prefix: string
  readonly status: RedisStatus
  /**
   * Sends commands, again where the connection broke or a failover is under way: what `send` does
   * twice must end as done once. Never takes longer than the timeout; fails at once where Redis has
   * been unreachable for longer than that.
   * @param what completes "Cannot ..."
   * @throws StoreUnavailable
   */
  run<T>(what: string, send: () => Promise<T>, how?: { readonly isRead?: boolean }): Promise<T>
  /** For who calls past `run`: Redis answered that it will not. */
  refused(error: unknown): void
  /** Runs a job when this turn of the event loop is over, just before what was sent in it goes out. */
  atEndOfTurn(job: () => void): void
  /** A connection that hears messages, to any node of a Cluster: all of them hear all messages. */
  openListener(): Redis
  close(): void
}

const STANDARD_PORT = 6379

/** Milliseconds between attempts to connect, and of one call to get through: fast, with a limit. */
const RETRY_PAUSE = { first: 20, most: 500 }

/** How Redis says that another node, or the same in a moment, will do what was asked. */
const PASSING = ['LOADING', 'READONLY', 'MASTERDOWN', 'CLUSTERDOWN', 'TRYAGAIN', 'MOVED', 'ASK']

/** What a server writes to a connection that it closes at once. */
const FAREWELLS = /^-(ERR max number of clients|DENIED)/

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
  /** Did a call wait in vain since the connection was last there? Then the next need not wait too. */
  let isLasting = false
  /** Since when there is no connection, by a clock that cannot be set. */
  let lostAt: number | undefined
  /** Has no connection failed in a way that says more? */
  let isSilent = true
  /** Is it connected to another database than the one that redis.url names? */
  let isMisplaced = false

  /** What Redis said on a connection before it closed it, without being asked. */
  let farewell: string | undefined
  let wasReady = false
  const isSecure = options.tls !== undefined
  /** One that has never been ready may speak TLS where we do not, or the other way round. */
  const doubt = (reason: string) => {
    if (wasReady) return reason
    return isSecure
      ? `${reason}; does it speak TLS on this port?`
      : `${reason}; does it want TLS (rediss://) on this port?`
  }
  /** Read past ioredis: it knows no answer to nothing, and tells of a connection that was lost. */
  client.on('connect', () => {
    if (!(client instanceof Redis)) return
    farewell = undefined
    client.stream.once('data', (chunk: Buffer) => {
      const [line = ''] = chunk.toString('latin1').split('\r\n', 1)
      if (FAREWELLS.test(line)) farewell = line.slice(1)
    })
  })
  client.on('ready', () => {
    wasReady = true
    if (isMisplaced) return
    isLasting = false
    lostAt = undefined
    outage.end()
    for (const wake of [...waiting]) wake()
  })
  client.on('close', () => {
    isMisplaced = false
    if (isClosed) return
    lostAt ??= clock.elapsed()
    outage.begin(farewell === undefined ? undefined : explain(new Error(farewell)))
  })
  client.on('error', (error) => {
    // ioredis would go on in database 0.
    if (/DB index is out of range/.test(error.message)) isMisplaced = true
    isSilent = false
    lostAt ??= clock.elapsed()
    const reason = farewell === undefined ? explain(error) : explain(new Error(farewell))
    outage.begin(isCut(error) && farewell === undefined ? doubt(reason) : reason)
  })
  // ioredis gives up where a Sentinel or a name server answered nonsense; Keyturn does not.
  client.on('end', () => {
    if (!isClosed) setTimeout(open, RETRY_PAUSE.most)
  })

  function open(): void {
    if (isClosed || (client.status !== 'wait' && client.status !== 'end')) return
    // What goes wrong is told by the events above.
    client.connect().catch(() => {})
  }

  let isGathering = false
  let atLast: (() => void)[] = []
  /**
   * What is sent in one turn of the event loop goes out in one write. ioredis's own
   * `enableAutoPipelining` costs twice the processor time, lets a batch wait for the one before, and
   * in a Cluster hands redirections to the caller.
   */
  function gather(): void {
    if (isGathering) return
    isGathering = true
    const nodes = client instanceof Cluster ? client.nodes('master') : [client]
    const streams = nodes.map((node) => node.stream)
    for (const stream of streams) stream?.cork()
    setImmediate(() => {
      const jobs = atLast
      atLast = []
      try {
        for (const job of jobs) job()
      } finally {
        isGathering = false
        for (const stream of streams) stream?.uncork()
      }
    })
  }

  // What anybody sends through `client`, libraries too. Only that of a Cluster takes a node.
  const sendCommand: Cluster['sendCommand'] = client.sendCommand.bind(client)
  client.sendCommand = (...command: Parameters<typeof sendCommand>) => {
    gather()
    return sendCommand(...command)
  }

  function run<T>(what: string, send: () => Promise<T>, { isRead = false } = {}): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    let isSettled = false
    let lastError: unknown
    /** Was it sent, and no answer came? What Redis answered to a later attempt says nothing of it. */
    const sent = { isUnanswered: false, wasLost: false }
    let pause = RETRY_PAUSE.first
    let retry: NodeJS.Timeout | undefined
    const deadline = setTimeout(() => {
      isLasting = client.status !== 'ready'
      if (lastError instanceof ReplyError) outage.begin(explain(lastError))
      else if (isSecure && !wasReady && isSilent) outage.begin(doubt('it does not answer'))
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
      if (isPassing(error)) {
        pause = Math.min(pause * 2, RETRY_PAUSE.most)
        retry = setTimeout(attempt, pause)
        return
      }
      outage.refuse(explain(error))
      fail()
    }
    const attempt = () => {
      waiting.delete(attempt)
      if (isMisplaced) return fail()
      if (client.status === 'ready') {
        sent.isUnanswered = true
        send().then(succeed, tryAgain)
        return
      }
      const isLong = lostAt !== undefined && clock.elapsed() - lostAt > settings.timeout
      if (isClosed || isLasting || isLong) {
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
      atLast.push(job)
      gather()
    },
    openListener: () => {
      const listener = { ...options, autoResubscribe: false, lazyConnect: true }
      if (client instanceof Redis) return client.duplicate(listener)
      const known = client.nodes().map(({ options: { host, port } }) => ({ host, port }))
      const nodes = known.length > 0 ? known : settings.cluster.map(parseNode)
      const node = nodes[Math.floor(Math.random() * nodes.length)]
      // Its node may never come back: at the end another one is asked.
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
    // A server that went away without a word: the connection is closed and opened again.
    socketTimeout: timeout * 1000,
    // `run` waits, bounds and repeats, so nothing is sent later than its caller waits for it.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    retryStrategy: retryPause,
    // After a failover of Sentinels, the old master is a replica.
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
    // Each node is connected with the first command for it; others wait for that connection.
    enableOfflineQueue: true,
    lazyConnect: true,
    clusterRetryStrategy: retryPause,
    // A certificate is for the name of a node, not for its address.
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

/** Which Redis, without user or password. */
function describe({ url, cluster, sentinels, master }: RedisSettings): string {
  if (cluster.length > 0) return `Redis Cluster ${cluster.join(', ')} (redis.cluster)`
  if (sentinels.length > 0) {
    return `Redis master ${master} of the Sentinels ${sentinels.join(', ')} (redis.sentinels)`
  }
  return `Redis at ${new URL(url).host} (redis.url)`
}

/** Did the other end close the connection? */
function isCut({ message }: Error): boolean {
  return /ECONNRESET|EPIPE|Connection is closed|socket hang up/.test(message)
}

function isPassing(error: unknown): boolean {
  if (!(error instanceof ReplyError)) return true
  // A ReplyError is an Error, which its type does not say.
  return PASSING.some((word) => says(error as Error, word))
}

/** Scripts of Redis 6 wrap what a command in them answered. */
function says({ message }: Error, word: string): boolean {
  return message.startsWith(word) || message.includes(`-${word} `)
}

/** The reason, in words that carry no arguments of a command. */
function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const [word = ''] = error.message.split(' ', 1)
  // A Cluster says what happened to the last of its nodes.
  const { lastNodeError } = error as { lastNodeError?: unknown }
  if (lastNodeError instanceof Error) return explain(lastNodeError)
  if (/DB index is out of range/.test(error.message)) {
    return 'it has no database of the number that redis.url names'
  }
  if (error.message.startsWith('All sentinels are unreachable')) {
    return 'none of the Sentinels answers, or none knows the master'
  }
  // Redis names the command or the kind of key, and never an argument.
  if (word === 'NOPERM') return `the ACL of the user of redis.url forbids it: ${error.message}`
  return HINTS[word] ?? error.message
}
