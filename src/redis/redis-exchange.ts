import { Cluster } from 'ioredis'
import { type ArtifactRecord, type FoundRecord, GRANT } from '../artifacts/artifact-record.ts'
import {
  type ExchangeStored,
  exchangeInSteps,
  type SteppedArtifacts,
  type StoredExchange,
} from '../artifacts/exchange.ts'
import { artifactKeys } from './artifact-keys.ts'
import { createRecords, type RecordsOptions } from './redis-records.ts'
import { GRANTABLE, lifetimeOf, lifetimeOnce } from './redis-save.ts'
import { createMark, parse } from './stored-text.ts'

export interface ExchangeOptions extends RecordsOptions {
  /** Returns the records of a model. */
  readonly storedOf: (model: string) => SteppedArtifacts
  /** Deletes the grant of an artifact that was used twice, and everything issued under it. */
  readonly revokeGrantOf: (used: FoundRecord) => Promise<void>
}

/**
 * Consumes and saves with one command. In a Cluster, whose nodes each have a part of the keys, and
 * for artifacts that are not listed with one grant, it takes several.
 */
export function exchangeAtOnce(options: ExchangeOptions): ExchangeStored {
  const { redis, commands, storedOf, revokeGrantOf } = options
  const inSteps = exchangeInSteps(storedOf)
  if (redis.client instanceof Cluster) return inSteps
  const { keyOf, memberOf, grantKey } = artifactKeys(GRANT, redis.prefix)
  const textOf = ({ payload }: ArtifactRecord) => `{}${payload}`

  return async (exchange, times) => {
    if (!hasOneGrant(exchange)) return inSteps(exchange, times)
    const { used, issued, answer } = exchange
    const { now, noteUndo } = times
    const mark = createMark(now)
    noteUndo?.(() => createRecords(used.model, options).unconsume(used.id, mark))
    const usedKey = keyOf(used.id, used.model)
    const grantId = issued[0]?.grantId
    const keys = [
      usedKey,
      grantId ? grantKey(grantId) : usedKey,
      answer ? keyOf(answer.id, answer.model) : usedKey,
      ...issued.map(({ id, model }) => keyOf(id, model)),
    ]
    const values = [
      mark,
      answer ? textOf(answer) : '',
      answer ? lifetimeOnce(answer, now) : 0,
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
    await revokeGrantOf(parse(done, { model: used.model, name: used.id }))
    return 'used'
  }
}

/** True if everything issued can be listed with one grant: all is of that grant, and expires. */
function hasOneGrant({ issued }: StoredExchange): boolean {
  return issued.every(
    ({ model, grantId, expiresAt }) =>
      GRANTABLE.includes(model) &&
      grantId !== null &&
      grantId === issued[0]?.grantId &&
      expiresAt !== null,
  )
}
