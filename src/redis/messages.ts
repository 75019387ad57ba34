import { randomUUID } from 'node:crypto'
import { type Redis, ReplyError } from 'ioredis'
import type { Messages, Topic } from '../nodes/messages.ts'
import type { RedisConnection } from './connection.ts'

/** Milliseconds before another connection is tried, in a Cluster on another node. */
const RETRY_PAUSE = 500

/** Milliseconds until it is asked once more whether this user may listen. */
const FORBIDDEN_PAUSE = 5000

/** Milliseconds between signs of life: one that went away without a word is noticed and replaced. */
const PING_INTERVAL = 5000

export interface RedisMessages extends Messages {
  /** Messages of others, whose channels begin with `prefix`, over the same connections. */
  at(prefix: string): Messages
}

/**
 * Messages by Redis's publish and subscribe, on one channel for each topic. Plain channels: a
 * Cluster carries them to all of its nodes, and wake-ups are few. The connection that listens is
 * opened with the first subscription.
 */
export function createRedisMessages(redis: RedisConnection): RedisMessages {
  const self = randomUUID()
  const listeners = new Map<string, (() => void)[]>()
  let listening: Redis | undefined
  let isClosed = false

  const ping = setInterval(() => {
    // Without an answer the connection is closed by its socketTimeout.
    if (listening?.status === 'ready') listening.ping().catch(() => {})
  }, PING_INTERVAL)
  ping.unref()

  function listen(): void {
    if (isClosed) return
    const connection = redis.openListener()
    listening = connection
    connection.on('ready', () => subscribe(connection))
    connection.on('message', (channel, sender) => {
      if (sender !== self) tell(channel)
    })
    // Whether Redis is reachable the other connection says.
    connection.on('error', () => {})
    connection.on('end', () => {
      if (!isClosed) setTimeout(listen, RETRY_PAUSE)
    })
    connection.connect().catch(() => {})
  }

  /** Before it was subscribed, a message may have been missed. */
  async function subscribe(connection: Redis): Promise<void> {
    const channels = [...listeners.keys()]
    try {
      await connection.subscribe(...channels)
      for (const channel of channels) tell(channel)
    } catch (error) {
      if (!(error instanceof ReplyError)) return connection.disconnect(true)
      // What is forbidden stays so until somebody changes it.
      redis.refused(error)
      setTimeout(() => {
        if (connection.status === 'ready') void subscribe(connection)
      }, FORBIDDEN_PAUSE).unref()
    }
  }

  function tell(channel: string): void {
    for (const listener of listeners.get(channel) ?? []) listener()
  }

  const close = () => {
    isClosed = true
    clearInterval(ping)
    listening?.disconnect()
  }

  function at(prefix: string): Messages {
    const channelOf = (topic: Topic) => `${prefix}${topic}`
    return {
      publish: (topic) =>
        redis
          .run('send a message', () => redis.client.publish(channelOf(topic), self))
          .then(
            () => true,
            () => false,
          ),
      subscribe: (topic, listener) => {
        const channel = channelOf(topic)
        listeners.set(channel, [...(listeners.get(channel) ?? []), listener])
        if (!listening) listen()
        else if (listening.status === 'ready') void subscribe(listening)
      },
      close,
    }
  }

  return { ...at(redis.prefix), at }
}
