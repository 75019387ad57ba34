import { storedText } from './element-store.ts'
import { KeyRingUnreadable } from './errors.ts'
import { largestRead, tooLarge } from './ring-size.ts'
import type { RingStore } from './ring-store.ts'

/** A ring in a list of Redis, as `PersistKeysToStackExchangeRedis` keeps it. */

/** Methods of a Redis client that the store needs, as ioredis has them. */
export interface RedisLists {
  eval(script: string, keys: number, ...args: string[]): Promise<unknown>
}

/** Key of the list by default in ASP.NET Core. */
const DEFAULT_LIST = 'DataProtection-Keys'

/** The version of a list: its length and the hash of its last element. */
const VERSION = `
local version = redis.call('LLEN', KEYS[1]) .. ' ' .. redis.sha1hex(redis.call('LINDEX', KEYS[1], -1) or '')`

/** Script that returns the size of each element. */
const SIZES = `
local sizes = {}
for i, text in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do sizes[i] = #text end
return sizes
`

/**
 * Script that returns the version, and each element or, if it is larger than ARGV[1], its size and
 * whether it has the word `revocation`, because a revocation must not be overlooked.
 */
const READ = `${VERSION}
local elements = {}
for i, text in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
  elements[i] = #text <= tonumber(ARGV[1]) and text
    or { #text, string.find(text, 'revocation', 1, true) and 1 or 0 }
end
return { version, elements }
`

/** Script that adds to the list if it still has the version ARGV[1]. */
const APPEND = `${VERSION}
if version ~= ARGV[1] then return 0 end
redis.call('RPUSH', KEYS[1], ARGV[2])
return 1
`

/** An element, or size and mark of one that is too large. */
type Found = string | readonly [size: number, word: number]

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
      try {
        // The scripts return what they say.
        const sizes = (await client.eval(SIZES, 1, list)) as number[]
        const most = String(largestRead(sizes))
        const [version, found] = (await client.eval(READ, 1, list, most)) as [string, Found[]]
        const elements = found.map((element, i) => {
          const source = `element ${i + 1} of list ${list}`
          if (typeof element === 'string') return storedText(source, element)
          const [size, word] = element
          return tooLarge(source, size, word === 1)
        })
        return { elements, version }
      } catch (error) {
        throw unavailable(where, 'read', error)
      }
    },
    append: async ({ line }, version) => {
      try {
        return (await client.eval(APPEND, 1, list, version, line)) === 1
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
