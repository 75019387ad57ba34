import { Cluster } from 'ioredis'
import type { StoredArtifacts } from '../artifacts/artifact-adapter.ts'
import { type ArtifactRecord, GRANT, UNDO_WORDS } from '../artifacts/artifact-record.ts'
import { type ExchangeStored, exchangeInSteps, type StoredExchange } from '../artifacts/exchange.ts'
import { artifactKeys } from './artifact-keys.ts'
import type { RecordsOptions } from './redis-records.ts'
import { GRANTABLE, lifetimeOf } from './redis-save.ts'
import { head } from './stored-text.ts'
import { createUseMark } from './use-mark.ts'

/**
 * Consumes and saves with one command. In a Cluster, whose nodes each have a part of the keys, and
 * for artifacts that are not listed with one grant, it takes several.
 * @param storedOf the records of a model
 */
export function exchangeAtOnce(
  { redis, commands }: RecordsOptions,
  storedOf: (model: string) => StoredArtifacts,
): ExchangeStored {
  const inSteps = exchangeInSteps(storedOf)
  if (redis.client instanceof Cluster) return inSteps
  const { keyOf, memberOf, grantKey } = artifactKeys(GRANT, redis.prefix)
  const textOf = ({ id, payload }: ArtifactRecord) => `${head(id, undefined)}${payload}`

  return async (exchange, { now, noteUndo }) => {
    const { used, issued, answer } = exchange
    if (!isListed(exchange)) return inSteps(exchange, { now, noteUndo })
    const usedKey = keyOf(used.id, used.model)
    const grantId = issued[0]?.grantId
    const mark = createUseMark(now)
    noteUndo?.(async () => {
      await redis.run(UNDO_WORDS, () => commands.keyturnUnconsume(usedKey, mark))
    })
    const keys = [
      usedKey,
      grantId ? grantKey(grantId) : usedKey,
      ...(answer ? [keyOf(answer.id, answer.model)] : []),
      ...issued.map(({ id, model }) => keyOf(id, model)),
    ]
    const values = [
      mark,
      ...(answer ? [textOf(answer), Math.max(1, (answer.expiresAt ?? now) - now)] : ['', 0]),
      now,
      ...issued.flatMap((record) => {
        const ttl = lifetimeOf(record, now)
        return [textOf(record), ttl, memberOf(record.id, record.model), now + ttl]
      }),
    ]
    const done = await redis.run('exchange a code or token', () =>
      commands.keyturnExchange(keys.length, ...keys, ...values),
    )
    if (done === 1) return 'done'
    if (done === 0) return 'answered'
    if (done === null) return 'gone'
    // It was consumed before, which revokes its grant.
    return (await storedOf(used.model).consumeOrRevoke(used.id)) === undefined ? 'gone' : 'used'
  }
}

/** True if everything issued is listed with one grant and expires. */
function isListed({ issued }: StoredExchange): boolean {
  return issued.every(
    ({ model, grantId, expiresAt }) =>
      GRANTABLE.includes(model) &&
      grantId !== null &&
      grantId === issued[0]?.grantId &&
      expiresAt !== null,
  )
}
