import { Cluster } from 'ioredis'
import type { RedisConnection } from './connection.ts'
import type { Commands } from './redis-commands.ts'

/**
 * Reads a key. Keys of one turn of the event loop are read by one command, except in a Cluster,
 * where a command may only have keys of one slot.
 */
export function createReader({ client, run, atEndOfTurn }: RedisConnection, commands: Commands) {
  const what = 'read a session, code, token or grant'
  const isRead = true
  if (client instanceof Cluster) {
    return async (key: string) => (await run(what, () => commands.mget(key), { isRead }))[0]
  }
  let asked: { key: string; answer: PromiseWithResolvers<string | null> }[] = []

  async function ask(): Promise<void> {
    const batch = asked
    asked = []
    try {
      const keys = batch.map(({ key }) => key)
      const values = await run(what, () => client.mget(keys), { isRead })
      for (const [index, { answer }] of batch.entries()) answer.resolve(values[index] ?? null)
    } catch (error) {
      for (const { answer } of batch) answer.reject(error)
    }
  }

  return (key: string) => {
    const answer = Promise.withResolvers<string | null>()
    if (asked.push({ key, answer }) === 1) atEndOfTurn(ask)
    return answer.promise
  }
}
