import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible'
import { type Networks, networksOf } from '../values/address.ts'

/** Counts of failures within a time window, each with a limit. */

/** The Redis in which all processes count together. */
export interface SharedCounts {
  /** A client of ioredis. */
  readonly client: unknown
  /** Prefix of every key. */
  readonly prefix: string
}

/** Limits of an address and the networks around it (`values/address.ts`); wider ones are higher. */
export interface NetworkLimits {
  readonly address: number
  readonly site: number
  readonly network: number
}

/** A limit, or `auto` to derive it from the limit of an address (`widening`). */
export type WiderLimit = number | 'auto'

/**
 * Resolves `auto`: a site gets twice the limit of an address, a network four times. That is enough,
 * because seldom do several addresses of a network guess at the same time, unless all do.
 */
export function widening(address: number, site: WiderLimit, network: WiderLimit): NetworkLimits {
  return {
    address,
    site: site === 'auto' ? 2 * address : site,
    network: network === 'auto' ? 4 * address : network,
  }
}

/** A count. While Redis is unavailable, changes resolve and this process counts alone. */
export interface Count {
  /** Adds one. @returns seconds to wait if the limit is exceeded */
  add(): Promise<number | undefined>
  /** Adds nothing. @returns seconds to wait if one more would exceed the limit */
  wait(): Promise<number | undefined>
  /** Subtracts one, unless the count is zero. */
  takeOff(): Promise<void>
  /** Sets the count to zero. */
  clear(): Promise<void>
  /** Makes the count full for this many seconds. */
  fill(seconds: number): Promise<void>
}

/**
 * Adds to a count as the script of `rate-limiter-flexible` does, but ends a count that comes down
 * to zero, so that it is never negative and takes no memory.
 */
const ADD = `
  redis.call('set', KEYS[1], 0, 'EX', ARGV[2], 'NX')
  local count = redis.call('incrby', KEYS[1], ARGV[1])
  if count <= 0 then
    redis.call('unlink', KEYS[1])
    return {0, 1000 * ARGV[2]}
  end
  return {count, redis.call('pttl', KEYS[1])}`

/** More than any count in Redis reaches, so that subtracting it ends the count. */
const EVERYTHING = 1_000_000_000

export interface CounterOptions {
  /** Seconds after which a count begins anew. */
  readonly window: number
  readonly shared?: SharedCounts | undefined
}

/**
 * Creates counts of one kind, by key. With `shared`, all processes count together; while Redis is
 * unavailable each process counts alone, which neither refuses nor allows every attempt.
 * @param kind part of the key in Redis
 */
export function createCounter(
  kind: string,
  points: number,
  { window, shared }: CounterOptions,
): (key: string) => Count {
  const options = { points, duration: window }
  const own = new RateLimiterMemory(options)
  const inRedis = shared && {
    ...options,
    storeClient: shared.client,
    keyPrefix: `${shared.prefix}attempts:${kind}`,
    customIncrTtlLuaScript: ADD,
    rejectIfRedisNotReady: true,
  }
  const limiter = inRedis ? new RateLimiterRedis({ ...inRedis, insuranceLimiter: own }) : own
  const redisAlone = inRedis && new RateLimiterRedis(inRedis)

  /** @returns the count, also if it exceeds the limit */
  async function consume(key: string, added: number): Promise<RateLimiterRes> {
    try {
      return await limiter.consume(key, added)
    } catch (refusal) {
      if (refusal instanceof RateLimiterRes) return refusal
      throw refusal
    }
  }

  /** Looks at a count. In Redis, adding nothing takes one command and `get` takes four. */
  const look = (key: string) => (shared ? consume(key, 0) : limiter.get(key))

  return (key) => ({
    async add() {
      const count = await consume(key, 1)
      return count.consumedPoints > points ? secondsUntil(count) : undefined
    },
    async wait() {
      const count = await look(key)
      return count && count.remainingPoints <= 0 ? secondsUntil(count) : undefined
    },
    async takeOff() {
      const { consumedPoints } = await limiter.reward(key)
      // Another attempt cleared the count meanwhile; a count in Redis is never negative (`ADD`).
      if (consumedPoints < 0) await own.penalty(key, 1)
    },
    async clear() {
      // `delete` would wait for an unavailable Redis Cluster, and `set` takes four commands.
      const cleared = redisAlone?.reward(key, EVERYTHING).catch(() => undefined)
      if (!(await cleared)) await own.set(key, 0, window)
    },
    fill: async (seconds) => void (await limiter.block(key, seconds)),
  })
}

/**
 * Creates counts for an address and the networks around it, from the narrowest to the widest.
 * @param kind part of the key in Redis
 */
export function createNetworkCounter(
  kind: string,
  limits: NetworkLimits,
  options: CounterOptions,
): (address: string, subject?: string) => readonly Count[] {
  const widths = {
    address: createCounter(kind, limits.address, options),
    site: createCounter(`${kind}-site`, limits.site, options),
    network: createCounter(`${kind}-network`, limits.network, options),
  }
  return (address, subject) => {
    const networks = networksOf(address)
    const count = (width: keyof Networks) =>
      widths[width](subject === undefined ? networks[width] : `${subject} ${networks[width]}`)
    // IPv4 has no site, and text that is not an address has neither site nor network.
    return [
      count('address'),
      ...(networks.site === networks.address ? [] : [count('site')]),
      ...(networks.network === networks.address ? [] : [count('network')]),
    ]
  }
}

/** The longest wait, in seconds, of full counts; undefined if none is full. */
export async function longestWait(counts: readonly Count[]): Promise<number | undefined> {
  const waits = await Promise.all(counts.map((count) => count.wait()))
  const reached = waits.filter((wait) => wait !== undefined)
  return reached.length === 0 ? undefined : Math.max(...reached)
}

function secondsUntil({ msBeforeNext }: RateLimiterRes): number {
  return Math.max(1, Math.ceil(msBeforeNext / 1000))
}
