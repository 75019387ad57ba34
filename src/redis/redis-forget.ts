import { Cluster } from 'ioredis'
import { type FoundRecord, SESSION } from '../artifacts/artifact-record.ts'
import { parseAt } from './artifact-keys.ts'
import type { RedisConnection } from './connection.ts'
import type { Commands } from './redis-commands.ts'

/** Keys per SCAN while all artifacts of a person or client are searched. */
const SCAN_BATCH = 500

export interface ForgetOptions {
  readonly redis: RedisConnection
  readonly commands: Pick<Commands, 'keyturnConsumeAgain'>
  readonly isTheirs: (found: FoundRecord) => boolean
  /** Mark of sessions that end. */
  readonly mark: string
}

/** Deletes every artifact and copy for which `isTheirs` is true, and ends sessions (`SESSION`). */
export async function forget(options: ForgetOptions): Promise<void> {
  const { redis } = options
  const prefix = redis.prefix.replace(/[\\*?[\]]/g, '\\$&')
  // Two passes as in `forget.ts`: without sessions nothing new is issued, and the second pass finds
  // what was issued during the first.
  await forgetAmong(`${prefix}a:{${SESSION}:*`, options)
  await forgetAmong(`${prefix}[auc]:*`, options)
}

async function forgetAmong(
  pattern: string,
  { redis: { client, prefix, run }, commands, isTheirs, mark }: ForgetOptions,
): Promise<void> {
  const isSession = (key: string) => key.startsWith(`${prefix}a:{${SESSION}:`)
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
            // As in `Commands.mget`: a key of another type is nothing of ours.
            const [stored] = await client.mget(key)
            if (typeof stored !== 'string' || !isTheirs(parseAt(key, prefix, stored))) return
            await (isSession(key) ? commands.keyturnConsumeAgain(key, mark) : client.unlink(key))
          }),
        ),
      )
      cursor = next
    } while (cursor !== '0')
  }
}
