import { Cluster, Redis, type RedisOptions } from 'ioredis'
import { redisServer } from '../connection/redis-url.ts'
import { tlsOptions } from '../connection/tls-options.ts'
import { says } from './failures.ts'

/** Makes clients of ioredis for the settings: standalone, Sentinel or Cluster. */

/** Redis settings of the configuration; `timeout` in seconds. */
export interface RedisSettings {
  readonly url: string
  readonly cluster: readonly string[]
  readonly sentinels: readonly string[]
  readonly master: string
  readonly prefix: string
  readonly timeout: number
}

const STANDARD_PORT = 6379

/** Milliseconds between attempts to connect or to send a command, which double up to the limit. */
export const RETRY_PAUSE = { first: 20, most: 500 }

/** Options of ioredis for one node. */
type NodeOptions = ReturnType<typeof connectionOptions>

export function connectionOptions({ url: text, timeout }: RedisSettings) {
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

/** Makes a client, which connects with the first command or when `connect()` is called. */
export function createClient(
  { cluster, sentinels, master }: RedisSettings,
  options: NodeOptions,
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

/**
 * Makes a connection for messages beside a client; to any node of a Cluster, because each gets all
 * messages.
 */
export function createListener(
  client: Redis | Cluster,
  options: NodeOptions,
  { cluster }: Pick<RedisSettings, 'cluster'>,
): Redis {
  const listener = { ...options, autoResubscribe: false, lazyConnect: true }
  if (client instanceof Redis) return client.duplicate(listener)
  const known = client.nodes().map(({ options: { host, port } }) => ({ host, port }))
  const nodes = known.length > 0 ? known : cluster.map(parseNode)
  const node = nodes[Math.floor(Math.random() * nodes.length)]
  // No retries, because the node may never come back: after `end` another node is used.
  return new Redis({ ...listener, ...node, retryStrategy: null })
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
export function describe({ url, cluster, sentinels, master }: RedisSettings): string {
  if (cluster.length > 0) return `Redis Cluster ${cluster.join(', ')} (redis.cluster)`
  if (sentinels.length > 0) {
    return `Redis master ${master} of the Sentinels ${sentinels.join(', ')} (redis.sentinels)`
  }
  return `Redis at ${new URL(url).host} (redis.url)`
}
