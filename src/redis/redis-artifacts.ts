import { createArtifactAdapter } from '../artifacts/artifact-adapter.ts'
import { type FoundRecord, GRANT, ownerOf } from '../artifacts/artifact-record.ts'
import type { ArtifactStore, Undo } from '../artifacts/artifact-store.ts'
import { createExchange, type SteppedArtifacts } from '../artifacts/exchange.ts'
import type { Clock } from '../clock.ts'
import type { ArtifactPlace } from '../database/artifact-place.ts'
import type { Authentic } from '../database/authentic.ts'
import { copyByUid, copyByUserCode } from './artifact-keys.ts'
import type { RedisConnection } from './connection.ts'
import { redisOf } from './issuer-prefix.ts'
import { defineCommands } from './redis-commands.ts'
import { exchangeAtOnce } from './redis-exchange.ts'
import { forget } from './redis-forget.ts'
import { createGrants } from './redis-grants.ts'
import { createRecords, type RecordsOptions } from './redis-records.ts'
import { createMark, parse } from './stored-text.ts'
import { createReader } from './turn-reader.ts'

/**
 * Stores artifacts in Redis, which deletes them when they expire. Each artifact has a key, whose
 * part in braces decides the slot in a Cluster:
 *
 *     <prefix>a:{<model>:<hash of the id>}   `{}` and the sealed payload, after
 *                                            `<consumed at> <nonce>` once it was consumed
 *     <prefix>u:{<hash of the uid>}          a copy for those that are found by another field, as
 *     <prefix>c:{<hash of the user code>}    is c; in both `{<hash of the id>:<key of the copy>}`
 *                                            stands for `{}`
 *     <prefix>g:{<hash of the grant's id>}   sorted set: artifacts of a grant by their expiry
 *
 * In a Cluster each command touches one key, and the commands of one call are sent together. All
 * are idempotent, because any of them may be sent twice (`connection.ts`).
 */

export interface RedisArtifactsOptions {
  readonly redis: RedisConnection
  readonly clock: Pick<Clock, 'now'>
  /**
   * The store of the database, which has the clients, and artifacts from before Redis was
   * configured.
   */
  readonly database: ArtifactPlace
}

/** Opens the store without connecting; calls fail while Redis is down. */
export function openRedisArtifacts({
  redis,
  clock,
  database,
}: RedisArtifactsOptions): ArtifactPlace {
  const commands = defineCommands(redis)
  const read = createReader(redis, commands)
  return {
    of: (authentic) =>
      artifactsOf(database.of(authentic), {
        redis: redisOf(redis, authentic.issuer),
        authentic,
        clock,
        commands,
        read,
      }),
    // Redis itself deletes expired keys.
    sweep: (limit) => database.sweep(limit),
    version: database.version,
    close: () => database.close(),
  }
}

function artifactsOf(database: ArtifactStore, opened: Opened): ArtifactStore {
  const { redis, authentic, clock } = opened
  const storedOf = (model: string) => storedArtifacts(model, opened)
  return {
    adapter: (model) =>
      model === 'Client'
        ? database.adapter(model)
        : createArtifactAdapter(model, storedOf(model), { authentic, clock }),
    exchange: createExchange(
      exchangeAtOnce({ ...opened, storedOf, revokeGrantOf: createRevoke(opened) }),
      { authentic, clock },
    ),
    forget: async (owner, id) => {
      await database.forget(owner, id)
      const { artifacts: records } = await authentic.open()
      const now = clock.now()
      const isTheirs = (found: FoundRecord) => {
        const payload = records.toPayload(found, now)
        return payload !== undefined && ownerOf(payload, owner) === id
      }
      await forget({ redis, commands: opened.commands, isTheirs, mark: createMark(now) })
    },
    forgetClients: () => database.forgetClients(),
  }
}

interface Opened extends RecordsOptions {
  readonly authentic: Authentic
  readonly clock: Pick<Clock, 'now'>
}

/** Deletes the grant of an artifact and everything issued under it. */
function createRevoke(opened: Opened): (used: FoundRecord) => Promise<void> {
  const { authentic, clock } = opened
  const { revokeWithGrant } = createGrants(opened)
  return async (used) => {
    const { artifacts } = await authentic.open()
    // Only the sealed payload names the grant.
    const grantId = artifacts.toPayload(used, clock.now())?.grantId
    if (grantId) await revokeWithGrant(artifacts.nameOf(GRANT, grantId))
  }
}

/** The records of one model. */
function storedArtifacts(model: string, opened: Opened): SteppedArtifacts {
  const { clock } = opened
  const records = createRecords(model, opened)
  const { revoke } = createGrants(opened)
  const revokeGrantOf = createRevoke(opened)

  /** @returns the result of `keyturnConsume` */
  const consume = (id: string, noteUndo: ((undo: Undo) => void) | undefined) => {
    const mark = createMark(clock.now())
    noteUndo?.(() => records.unconsume(id, mark))
    return records.consume(id, mark)
  }
  const isFirst = (result: unknown) => (result === null ? undefined : result === 1)

  return {
    save: records.save,
    saveOnce: records.saveOnce,
    find: records.find,
    findByUid: (hash) => records.findCopy(copyByUid(hash)),
    findByUserCode: (hash) => records.findCopy(copyByUserCode(hash)),
    consume: async (id, noteUndo) => isFirst(await consume(id, noteUndo)),
    consumeOrRevoke: async (id, noteUndo) => {
      const result = await consume(id, noteUndo)
      if (typeof result === 'string') await revokeGrantOf(parse(result, { model, name: id }))
      return isFirst(result)
    },
    consumeAgain: (id, at) => records.consumeAgain(id, createMark(at)),
    destroy: records.destroy,
    revoke,
  }
}
