import { Cluster } from 'ioredis'
import type { FoundRecord } from '../artifacts/artifact-record.ts'
import { parseAt } from './artifact-keys.ts'
import type { RedisConnection } from './connection.ts'

/** Keys per SCAN while all artifacts of a person or client are searched. */
const SCAN_BATCH = 500

/** Deletes every artifact and copy for which `isTheirs` is true. */
export async function forget(
  redis: RedisConnection,
  isTheirs: (found: FoundRecord) => boolean,
): Promise<void> {
  const prefix = redis.prefix.replace(/[\\*?[\]]/g, '\\$&')
  // Two passes as in `forget.ts`: without sessions nothing new is issued, and the second pass finds
  // what was issued during the first.
  await forgetAmong(`${prefix}a:{Session:*`, redis, isTheirs)
  await forgetAmong(`${prefix}[auc]:*`, redis, isTheirs)
}

async function forgetAmong(
  pattern: string,
  { client, prefix, run }: RedisConnection,
  isTheirs: (found: FoundRecord) => boolean,
): Promise<void> {
  const what = 'look through the sessions and tokens'
  const isRead = true
  await run(what, async () => client.ping(), { isRead })
  const nodes = client instanceof Cluster ? client.nodes('master') : [client]
  for (const node of nodes) {
    let cursor = '0'
    do {
      const [next, keys] = await run(
        what,
        () => node.scan(cursor, 'MATCH', pattern, 'COUNT', SCAN_BATCH),
        { isRead },
      )
      await run('delete sessions and tokens', () =>
        Promise.all(
          keys.map(async (key) => {
            const stored = await client.get(key)
            if (stored !== null && isTheirs(parseAt(key, prefix, stored))) await client.unlink(key)
          }),
        ),
      )
      cursor = next
    } while (cursor !== '0')
  }
}
