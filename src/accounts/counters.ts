import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible'
import { type Networks, networksOf } from '../values/address.ts'

/** Counts of what went wrong within a window of time, each up to a limit. */

/** Where all processes count together. */
export interface SharedCounts {
  /** Of ioredis. */
  readonly client: unknown
  /** Begins every key. */
  readonly prefix: string
}

/** Limits of the networks around one address (`address.ts`): the wider, the higher. */
export interface NetworkLimits {
  readonly address: number
  readonly site: number
  readonly network: number
}

/** `auto` follows from the limit of an address. */
export type WiderLimit = number | 'auto'

/**
 * `auto` worked out: a site has twice as many as one of its addresses, a network four times. Few
 * addresses of a network are guessers' at the same time, unless all of them are.
 */
export function widening(address: number, site: WiderLimit, network: WiderLimit): NetworkLimits {
  return {
    address,
    site: site === 'auto' ? 2 * address : site,
    network: network === 'auto' ? 4 * address : network,
  }
}

/** One count. Changes resolve also while Redis is away: then this process counts alone. */
export interface Count {
  /** Adds one. @returns seconds to wait where the limit is passed */
  add(): Promise<number | undefined>
  /** @returns seconds to wait where the limit is reached, so that one more would pass it */
  wait(): Promise<number | undefined>
  /** Takes one off again. */
  takeOff(): Promise<void>
  /** Begins anew. */
  clear(): Promise<void>
  /** Counts as full for so many seconds. */
  fill(seconds: number): Promise<void>
}

export interface CounterOptions {
  /** Seconds. */
  readonly window: number
  readonly shared?: SharedCounts | undefined
}

/**
 * Counts of one kind, by key. With `shared` they are those of all processes; while Redis is down
 * each process counts its own, which neither shuts everybody out nor lets everything through.
 * @param kind part of the key in Redis
 */
export function createCounter(
  kind: string,
  points: number,
  { window, shared }: CounterOptions,
): (key: string) => Count {
  const options = { points, duration: window }
  const own = new RateLimiterMemory(options)
  const limiter = shared ? sharedLimiter() : own

  function sharedLimiter(): RateLimiterRedis {
    const { client: storeClient, prefix } = shared as SharedCounts
    const keyPrefix = `${prefix}attempts:${kind}`
    const atOnce = { rejectIfRedisNotReady: true, insuranceLimiter: own }
    return new RateLimiterRedis({ ...options, ...atOnce, storeClient, keyPrefix })
  }

  return (key) => ({
    async add() {
      try {
        await limiter.consume(key)
        return undefined
      } catch (refusal) {
        if (!(refusal instanceof RateLimiterRes)) throw refusal
        return secondsUntil(refusal)
      }
    },
    async wait() {
      const count = await limiter.get(key)
      return count && count.remainingPoints <= 0 ? secondsUntil(count) : undefined
    },
    takeOff: async () => void (await limiter.reward(key)),
    // Not `delete`, which would wait for a Redis Cluster that is not there.
    clear: async () => void (await limiter.set(key, 0, window)),
    fill: async (seconds) => void (await limiter.block(key, seconds)),
  })
}

/**
 * Counts for an address and the networks around it, from the narrowest to the widest.
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
    // IPv4 has no site, and what has no address is no network either.
    return [
      count('address'),
      ...(networks.site === networks.address ? [] : [count('site')]),
      ...(networks.network === networks.address ? [] : [count('network')]),
    ]
  }
}

/** @returns the longest wait, in seconds, of counts whose limit is reached */
export async function longestWait(counts: readonly Count[]): Promise<number | undefined> {
  const waits = await Promise.all(counts.map((count) => count.wait()))
  const reached = waits.filter((wait) => wait !== undefined)
  return reached.length === 0 ? undefined : Math.max(...reached)
}

function secondsUntil({ msBeforeNext }: RateLimiterRes): number {
  return Math.max(1, Math.ceil(msBeforeNext / 1000))
}
