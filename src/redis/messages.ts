import { randomUUID } from 'node:crypto'
import { type Redis, ReplyError } from 'ioredis'
import type { Messages, Topic } from '../nodes/messages.ts'
import type { RedisConnection } from './connection.ts'

/** Milliseconds before another connection is tried, in a Cluster to another node. */
const RETRY_PAUSE = 500

/** Milliseconds until a forbidden subscription is tried again. */
const FORBIDDEN_PAUSE = 5000

/**
 * Milliseconds between pings, by which a connection that stopped answering is noticed and replaced.
 */
const PING_INTERVAL = 5000

export interface RedisMessages extends Messages {
  /** Messages on channels with another prefix, over the same connections. */
  at(prefix: string): Messages
}

/**
 * Sends messages by Redis's publish and subscribe, on one channel for each topic. The channels are
 * not sharded, so a Cluster sends each message to all of its nodes, which is cheap because wake-ups
 * are few. The listening connection is opened with the first subscription.
 */
export function createRedisMessages(redis: RedisConnection): RedisMessages {
  const self = randomUUID()
  const listeners = new Map<string, (() => void)[]>()
  let listening: Redis | undefined
  let isClosed = false

  const ping = setInterval(() => {
    // If no answer comes, `socketTimeout` closes the connection.
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
    // Errors are ignored because the other connection reports whether Redis is reachable.
    connection.on('error', () => {})
    connection.on('end', () => {
      if (!isClosed) setTimeout(listen, RETRY_PAUSE)
    })
    connection.connect().catch(() => {})
  }

  /** Subscribes and then notifies all listeners, because messages may have been missed before. */
  async function subscribe(connection: Redis): Promise<void> {
    const channels = [...listeners.keys()]
    try {
      await connection.subscribe(...channels)
      for (const channel of channels) tell(channel)
    } catch (error) {
      if (!(error instanceof ReplyError)) return connection.disconnect(true)
      // Redis forbids the subscription until an operator changes its ACL.
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
