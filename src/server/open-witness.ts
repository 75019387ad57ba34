import { existsSync, readFileSync, statSync } from 'node:fs'
import type { Config } from '../config/schema.ts'
import { witnessFileOf, witnessPlace } from '../config/witness.ts'
import type { RedisConnection } from '../redis/connection.ts'
import { createRedisWitness } from '../redis/redis-witness.ts'
import { createFileWitness } from '../witness/file-witness.ts'
import type { Witness } from '../witness/witness.ts'

/** The configured witness of an issuer; undefined if there is none. */
export function openWitness(
  config: Config,
  issuer: string,
  redis: RedisConnection | undefined,
): Witness | undefined {
  const place = witnessPlace(config)
  if (place.type === 'file') return createFileWitness(witnessFile(issuer, place.path, config))
  // The configuration was checked: a witness in Redis has a redis.url.
  if (place.type === 'redis' && redis) return createRedisWitness(redis, issuer)
  return undefined
}

/**
 * The witness file of an issuer: the configured file for a single issuer, and a file each for
 * several. An issuer keeps its file when others are added or removed, because its record would
 * otherwise be lost.
 */
export function witnessFile(issuer: string, path: string, { issuers }: Config): string {
  const own = witnessFileOf(path, issuer)
  const isPathOurs = issuerIn(path) === issuer
  if (issuers.length === 1) return existsSync(own) && !isPathOurs ? own : path
  return isPathOurs ? path : own
}

/** The issuer in a witness file; undefined if the file is missing or unreadable. */
function issuerIn(path: string): unknown {
  try {
    // A device would have no end, and a pipe no beginning.
    if (!statSync(path).isFile()) return undefined
    const record: unknown = JSON.parse(readFileSync(path, 'utf8'))
    return typeof record === 'object' && record !== null && 'issuer' in record
      ? record.issuer
      : undefined
  } catch {
    return undefined
  }
}
