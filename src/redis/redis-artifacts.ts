import { randomBytes } from 'node:crypto'
import {
  type ArtifactRecords,
  GRACE,
  GRANT,
  goneMeanwhile,
  ownerOf,
  REPLAY,
  seenMeanwhile,
  UsedMeanwhile,
} from '../artifacts/artifact-record.ts'
import type { ArtifactAdapter, ArtifactStore, Undo } from '../artifacts/artifact-store.ts'
import type { Clock } from '../clock.ts'
import type { ArtifactPlace } from '../database/artifact-place.ts'
import type { Authentic } from '../database/authentic.ts'
import { copyByUid, copyByUserCode } from './artifact-keys.ts'
import type { RedisConnection } from './connection.ts'
import { redisOf } from './issuer-prefix.ts'
import { defineCommands } from './redis-commands.ts'
import { forget } from './redis-forget.ts'
import { createRecords, type RecordsOptions } from './redis-records.ts'
import { parse } from './stored-text.ts'
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
    close: () => database.close(),
  }
}

function artifactsOf(database: ArtifactStore, options: AdapterOptions): ArtifactStore {
  const { redis, authentic, clock } = options
  return {
    adapter: (model) =>
      model === 'Client' ? database.adapter(model) : artifactAdapter(model, options),
    forget: async (owner, id) => {
      await database.forget(owner, id)
      const { artifacts: records } = await authentic.open()
      await forget(redis, (found) => {
        const payload = records.toPayload(found, clock.now())
        return payload !== undefined && ownerOf(payload, owner) === id
      })
    },
    forgetClients: () => database.forgetClients(),
  }
}

interface AdapterOptions extends RecordsOptions {
  readonly authentic: Authentic
  readonly clock: Pick<Clock, 'now'>
}

function artifactAdapter(model: string, options: AdapterOptions): ArtifactAdapter {
  const { authentic, clock } = options
  const stored = createRecords(model, options)
  const open = async (): Promise<ArtifactRecords> => (await authentic.open()).artifacts

  /** @returns the result of `keyturnConsume`, and the stored name of the artifact */
  async function consume(id: string, noteUndo: ((undo: Undo) => void) | undefined) {
    const name = (await open()).nameOf(model, id)
    const mark = `${clock.now()} ${createNonce()}`
    noteUndo?.(() => stored.unconsume(name, mark))
    const result = await stored.consume(name, mark)
    return { result, name }
  }

  return {
    async upsert(id, payload, expiresIn) {
      const now = clock.now()
      const record = (await open()).toRecord(model, id, payload, { expiresIn, now })
      if (model === REPLAY) {
        if (!(await stored.saveOnce(record, onceFor(expiresIn)))) throw seenMeanwhile()
        return
      }
      const ttl = expiresIn ? Math.max(1, expiresIn + GRACE) : 0
      const mark = typeof payload.consumed === 'number' ? `${payload.consumed} ` : ''
      await stored.save(record, { now, ttl, mark })
    },
    async find(id) {
      const records = await open()
      return records.toPayload(await stored.find(records.nameOf(model, id)), clock.now(), { id })
    },
    async findByUid(uid) {
      const records = await open()
      const found = await stored.findCopy(copyByUid(records.uidOf(uid)))
      return records.toPayload(found, clock.now(), { uid })
    },
    async findByUserCode(userCode) {
      const records = await open()
      const found = await stored.findCopy(copyByUserCode(records.userCodeOf(userCode)))
      return records.toPayload(found, clock.now(), { userCode })
    },
    async consume(id, noteUndo) {
      const { result, name } = await consume(id, noteUndo)
      if (result === 1) return
      if (result === null) throw goneMeanwhile()
      const records = await open()
      const found = parse(result, { model, name })
      const grantId = records.toPayload(found, clock.now())?.grantId
      if (grantId) await stored.revokeWithGrant(records.nameOf(GRANT, grantId))
      throw new UsedMeanwhile()
    },
    saveOnce: async (id, payload, expiresIn) => {
      const record = (await open()).toRecord(model, id, payload, { expiresIn, now: clock.now() })
      return stored.saveOnce(record, onceFor(expiresIn))
    },
    consumeOrLeave: async (id, noteUndo) => (await consume(id, noteUndo)).result !== null,
    async destroy(id) {
      await stored.destroy((await open()).nameOf(model, id))
    },
    async revokeByGrantId(grantId) {
      await stored.revoke((await open()).nameOf(GRANT, grantId))
    },
  }
}

/** Lifetime in seconds of a record that may exist only once. */
function onceFor(expiresIn = 0): number {
  return Math.max(1, expiresIn)
}

const PROCESS = randomBytes(9).toString('base64url')
let nonces = 0

/** Makes a mark unique, so that a repeated command can be told from another attempt. */
function createNonce(): string {
  nonces += 1
  return `${PROCESS}${nonces.toString(36)}`
}
