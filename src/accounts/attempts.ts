import { createHash } from 'node:crypto'
import { isIPv4, isIPv6 } from 'node:net'
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible'

/** How many failed sign-ins are borne within `window` seconds before more are turned away. */
export interface AttemptLimits {
  /** From one address, for one user name. */
  readonly perAccountAndAddress: number
  /** From one address, for all user names together. */
  readonly perAddress: number
  /**
   * For one user name, from all addresses together. High, because whoever reaches it shuts the
   * owner out as well.
   */
  readonly perAccount: number
  /** Seconds. */
  readonly window: number
}

export const DEFAULT_ATTEMPT_LIMITS: AttemptLimits = {
  perAccountAndAddress: 5,
  perAddress: 50,
  perAccount: 100,
  window: 15 * 60,
}

export interface Attempt {
  readonly username: string
  readonly address: string
}

/** Where all processes count together. */
export interface SharedCounts {
  /** Of ioredis. */
  readonly client: unknown
  /** Begins every key. */
  readonly prefix: string
}

export interface Attempts {
  /** Counts one attempt. @returns seconds to wait, or undefined where it may go ahead */
  begin(attempt: Attempt): Promise<number | undefined>
  /** The password was right: forgets what this address got wrong, and does not count this attempt. */
  succeed(attempt: Attempt): Promise<void>
  /** The password was never looked at: does not count this attempt. */
  withdraw(attempt: Attempt): Promise<void>
}

/**
 * Counts by what was typed, not by what exists, so that a limit says nothing about accounts. An
 * attempt is counted before the password is looked at: parallel guesses cannot outrun the count.
 *
 * Without `shared` each process counts its own. So it does while Redis is down: neither shuts
 * everybody out nor lets everything through.
 */
export function createAttempts(
  limits: AttemptLimits = DEFAULT_ATTEMPT_LIMITS,
  shared?: SharedCounts,
): Attempts {
  const limiter = (kind: string, points: number) => {
    const options = { points, duration: limits.window }
    const own = new RateLimiterMemory(options)
    if (!shared) return own
    const { client: storeClient, prefix } = shared
    const keyPrefix = `${prefix}attempts:${kind}`
    const atOnce = { rejectIfRedisNotReady: true, insuranceLimiter: own }
    return new RateLimiterRedis({ ...options, ...atOnce, storeClient, keyPrefix })
  }
  const pairs = limiter('pair', limits.perAccountAndAddress)
  const addresses = limiter('address', limits.perAddress)
  const names = limiter('name', limits.perAccount)

  // From the narrowest to the widest, stopping at the first refusal: one address that goes on
  // guessing one name uses up five points of that name, not a hundred.
  const counters = (attempt: Attempt) => {
    const name = nameKey(attempt.username)
    const address = addressKey(attempt.address)
    return [
      [pairs, `${name} ${address}`],
      [addresses, address],
      [names, name],
    ] as const
  }

  return {
    async begin(attempt) {
      // An address that is shut out adds no more names to what is kept in memory.
      const address = await addresses.get(addressKey(attempt.address))
      if (address && address.remainingPoints <= 0) return secondsUntil(address)
      for (const [counter, key] of counters(attempt)) {
        try {
          await counter.consume(key)
        } catch (refusal) {
          if (!(refusal instanceof RateLimiterRes)) throw refusal
          return secondsUntil(refusal)
        }
      }
      return undefined
    },

    async succeed(attempt) {
      const [[pair, pairKey], ...wider] = counters(attempt)
      await Promise.all([
        // Not `delete`, which would wait for a Redis Cluster that is not there.
        pair.set(pairKey, 0, limits.window),
        ...wider.map(([each, key]) => each.reward(key)),
      ])
    },

    async withdraw(attempt) {
      await Promise.all(counters(attempt).map(([counter, key]) => counter.reward(key)))
    },
  }
}

function secondsUntil({ msBeforeNext }: RateLimiterRes): number {
  return Math.max(1, Math.ceil(msBeforeNext / 1000))
}

/** A hash, so that a key is short however long the name, and a dump of memory shows fewer names. */
function nameKey(username: string): string {
  return createHash('sha256').update(username.toLowerCase()).digest('base64url')
}

/** IPv6 by its /64, the smallest block that one customer gets; IPv4 as it is. */
function addressKey(address: string): string {
  const mapped = /^::ffff:([\d.]+)$/i.exec(address)?.[1]
  if (mapped !== undefined && isIPv4(mapped)) return mapped
  if (!isIPv6(address)) return address
  const [head = '', tail = ''] = address.toLowerCase().replace(/%.*$/, '').split('::')
  const groups = head.split(':').filter(Boolean)
  const missing = address.includes('::')
    ? 8 - groups.length - tail.split(':').filter(Boolean).length
    : 0
  return [...groups, ...Array(Math.max(0, missing)).fill('0'), ...tail.split(':')]
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')
}
