import { storedText } from './element-store.ts'
import { KeyRingUnreadable } from './errors.ts'
import type { RingStore } from './ring-store.ts'

/** A ring in a list of Redis, as `PersistKeysToStackExchangeRedis` keeps it. */

/** Methods of a Redis client that the store needs, as ioredis has them. */
export interface RedisLists {
  lrange(key: string, start: number, stop: number): Promise<string[]>
  eval(script: string, keys: number, ...args: string[]): Promise<unknown>
}

/** Key of the list by default in ASP.NET Core. */
const DEFAULT_LIST = 'DataProtection-Keys'

/** Script that adds to the list if it is as it was read: same length and same last element. */
const APPEND = `
if redis.call('LLEN', KEYS[1]) ~= tonumber(ARGV[1]) then return 0 end
if (redis.call('LINDEX', KEYS[1], -1) or '') ~= ARGV[2] then return 0 end
redis.call('RPUSH', KEYS[1], ARGV[3])
return 1
`

interface RedisStoreOptions {
  readonly client: RedisLists
  readonly list?: string
  readonly close?: () => Promise<void>
}

export function openRedisStore({
  client,
  list = DEFAULT_LIST,
  close = async () => {},
}: RedisStoreOptions): RingStore {
  const where = `list ${list} in Redis`
  return {
    where,
    read: async () => {
      const texts = await client.lrange(list, 0, -1).catch((error: Error) => {
        throw unavailable(where, 'read', error)
      })
      const elements = texts.map((text, i) => storedText(`element ${i + 1} of list ${list}`, text))
      return { elements, version: `${texts.length} ${texts.at(-1) ?? ''}` }
    },
    append: async ({ line }, version) => {
      const [, length = '', last = ''] = /^(\d+) (.*)$/s.exec(version) ?? []
      try {
        return (await client.eval(APPEND, 1, list, length, last, line)) === 1
      } catch (error) {
        throw unavailable(where, 'added to', error)
      }
    },
    close,
  }
}

function unavailable(where: string, what: string, error: unknown): KeyRingUnreadable {
  const { message } = error as Error
  return new KeyRingUnreadable(
    'ring_unavailable',
    `The key ring in ${where} cannot be ${what}: ${message}`,
    error,
  )
}
