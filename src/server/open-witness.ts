import { existsSync, readFileSync } from 'node:fs'
import type { Config } from '../config/schema.ts'
import { witnessFileOf, witnessPlace } from '../config/witness.ts'
import type { RedisConnection } from '../redis/connection.ts'
import { createRedisWitness } from '../redis/redis-witness.ts'
import { createFileWitness } from '../witness/file-witness.ts'
import type { Witness } from '../witness/witness.ts'

/** The witness of an issuer that the configuration names; undefined where it names none. */
export function openWitness(
  config: Config,
  issuer: string,
  redis: RedisConnection | undefined,
): Witness | undefined {
  const place = witnessPlace(config)
  if (place.type === 'file') return createFileWitness(fileOf(issuer, place.path, config))
  // A bound of the configuration: where the witness is in Redis, there is a redis.url.
  if (place.type === 'redis' && redis) return createRedisWitness(redis, issuer)
  return undefined
}

/**
 * One issuer has the file that the configuration names, and several have one each. An issuer keeps the file
 * that it had when it becomes one of several, or the only one: without it, its memory would be gone.
 */
function fileOf(issuer: string, path: string, { issuers }: Config): string {
  const own = witnessFileOf(path, issuer)
  const isPathOurs = issuerIn(path) === issuer
  if (issuers.length === 1) return existsSync(own) && !isPathOurs ? own : path
  return isPathOurs ? path : own
}

/** Whose witness a file is; undefined where there is none, or where it says nothing that can be read. */
function issuerIn(path: string): unknown {
  try {
    const record: unknown = JSON.parse(readFileSync(path, 'utf8'))
    return typeof record === 'object' && record !== null && 'issuer' in record
      ? record.issuer
      : undefined
  } catch {
    return undefined
  }
}
