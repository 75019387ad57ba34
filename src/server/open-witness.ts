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
  if (place.type === 'file') {
    const hasSeveral = config.issuers.length > 1
    return createFileWitness(hasSeveral ? witnessFileOf(place.path, issuer) : place.path)
  }
  // A bound of the configuration: where the witness is in Redis, there is a redis.url.
  if (place.type === 'redis' && redis) return createRedisWitness(redis, issuer)
  return undefined
}
