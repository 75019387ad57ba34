import { hash } from 'node:crypto'
import { NOTHING_WITNESSED, type Witness } from '../witness/witness.ts'
import { parseWitness, witnessText } from '../witness/witness-text.ts'
import type { RedisConnection } from './connection.ts'

/** Replaces the text unless another node has replaced it since it was read. */
const REPLACE = `
  if (redis.call('get', KEYS[1]) or '') ~= ARGV[1] then return 0 end
  redis.call('set', KEYS[1], ARGV[2])
  return 1`

interface Commands {
  get(key: string): Promise<string | null>
  keyturnReplace(key: string, before: string, after: string): Promise<0 | 1>
}

/**
 * A witness in Redis, which all nodes share: one text, replaced unless another node has done so
 * meanwhile. Each issuer has its own key, so deployments that share a Redis do not interfere.
 */
export function createRedisWitness(redis: RedisConnection, issuer: string): Witness {
  const key = `${redis.prefix}witness:${hash('sha256', issuer, 'base64url').slice(0, 22)}`
  const where = `the key ${key} in Redis`
  redis.client.defineCommand('keyturnReplace', { numberOfKeys: 1, lua: REPLACE })
  // The script was just defined; `get` is the client's own, with fewer overloads.
  const commands = redis.client as unknown as Commands
  const get = () =>
    redis.run('read the witness (rotation.witness)', () => commands.get(key), { isRead: true })

  return {
    where,
    canBeAway: true,
    read: async () => {
      const text = await get()
      return text === null ? undefined : parseWitness(text, where)
    },
    update: async (change) => {
      for (;;) {
        const text = await get()
        const before = text === null ? NOTHING_WITNESSED : parseWitness(text, where)
        const after = change(before)
        if (text !== null && after === before) return after
        const replaced = await redis.run('write the witness (rotation.witness)', () =>
          commands.keyturnReplace(key, text ?? '', witnessText(after)),
        )
        // Read again, because another node was first or an answer was lost.
        if (replaced === 1) return after
      }
    },
  }
}
