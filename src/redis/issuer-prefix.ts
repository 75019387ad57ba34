import { hash } from 'node:crypto'
import type { RedisConnection } from './connection.ts'

/**
 * Characters of an issuer's hash: 72 bits, so that no two issuers of one Redis have the same by
 * chance.
 */
const ISSUER_LENGTH = 12

/**
 * Adds the issuer's hash to the prefix of all keys and channels, so that issuers that share a Redis
 * and a prefix share no tokens, counts or wake-ups.
 */
export function redisOf(redis: RedisConnection, issuer: string): RedisConnection {
  const name = hash('sha256', issuer, 'base64url').slice(0, ISSUER_LENGTH)
  return { ...redis, prefix: `${redis.prefix}${name}:` }
}
