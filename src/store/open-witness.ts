import type { Config } from '../config/schema.ts'
import { witnessPlace } from '../config/witness.ts'
import type { Witness } from '../keys/witness.ts'
import type { RedisConnection } from '../redis/connection.ts'
import { createFileWitness } from './file-witness.ts'
import { createRedisWitness } from './redis-witness.ts'

/** The witness that the configuration names; undefined where it names none. */
export function openWitness(
  config: Config,
  redis: RedisConnection | undefined,
): Witness | undefined {
  const place = witnessPlace(config)
  if (place.type === 'file') return createFileWitness(place.path)
  // A bound of the configuration: where the witness is in Redis, there is a redis.url.
  if (place.type === 'redis' && redis) return createRedisWitness(redis, config.issuer)
  return undefined
}
