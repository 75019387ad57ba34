import { hash } from 'node:crypto'
import type { RedisConnection } from './connection.ts'

/** Of the hash of an issuer: 72 bits, so that no two of one Redis are the same by chance. */
const ISSUER_LENGTH = 12

/**
 * The same connection for one issuer: what every key and channel begins with tells the issuer. Two
 * issuers that share a Redis and its prefix have neither tokens nor counts nor wake-ups in common.
 */
export function redisOf(redis: RedisConnection, issuer: string): RedisConnection {
  const name = hash('sha256', issuer, 'base64url').slice(0, ISSUER_LENGTH)
  return { ...redis, prefix: `${redis.prefix}${name}:` }
}
