import Sqlite from 'better-sqlite3'
import type { AdapterPayload } from 'oidc-provider'
import type { Clock } from '../clock.ts'
import type { ServerSettings } from '../database-url.ts'
import {
  type ArtifactRecord,
  createUse,
  digest,
  GRACE,
  GRANT,
  REPLAY,
  toPayload,
  toRecord,
  usedMeanwhile,
} from './artifact-record.ts'
import { type ArtifactAdapter, type ArtifactStore, ownerPattern } from './artifact-store.ts'
import type { ArtifactKey } from './artifact-table.ts'
import { clientAdapter, KNOWN_CLIENTS } from './client-adapter.ts'
import { sqlitePath } from './database.ts'
import { BUSY_TIMEOUT, storeUnavailable } from './failures.ts'
import { FORGET_BATCH, forgetInBatches } from './forget.ts'
import { createWriter, type Writer } from './shared-commits.ts'

/**
 * A connection of its own: synchronous=NORMAL, unless database.durability is full, so that a token costs no disk flush. After a power
 * failure the last moments of sessions and tokens may be gone, and nothing is damaged; people sign
 * in again. Keys, clients and people are written durably through `database.ts`.
 * @throws StoreUnavailable
 */
export function openSqliteArtifacts(
  { url, durability }: Pick<ServerSettings, 'url' | 'durability'>,
  clock: Clock,
): ArtifactStore {
  const database = open(url, durability === 'full' ? 'FULL' : 'NORMAL')
  const statements = prepare(database)
  const writer = createWriter(database)
  const clients = cachedClients(statements, clock)

  return {
    adapter: (model) =>
      model === 'Client' ? clients.adapter : artifactAdapter(model, statements, writer, clock),
    sweep: (limit) => writer.write(() => statements.sweep.run(clock.now() - GRACE, limit).changes),
    forget: (owner, id) => {
      const pattern = ownerPattern(owner, id)
      return forgetInBatches((after) =>
        writer.write(() => {
          const last = statements.lastOfBatch.get(after)
          statements.forget.run({ ...after, pattern })
          return last
        }),
      )
    },
    // The database itself says when something changed.
    forgetClients: clients.forget,
    close: async () => {
      writer.flush()
      database.close()
    },
  }
}

function open(url: string, synchronous: 'FULL' | 'NORMAL'): Sqlite.Database {
  try {
    const database = new Sqlite(sqlitePath(url), { timeout: BUSY_TIMEOUT })
    database.pragma('journal_mode = WAL')
    database.pragma(`synchronous = ${synchronous}`)
    return database
  } catch (error) {
    throw storeUnavailable(`open the database ${url}`, error)
  }
}

type Statements = ReturnType<typeof prepare>

type Row = Pick<ArtifactRecord, 'payload' | 'consumedAt'>

function prepare(database: Sqlite.Database) {
  const find = (column: string) =>
    database.prepare<[string, string], Row>(
      `SELECT payload, consumed_at AS consumedAt FROM artifact WHERE model = ? AND ${column} = ?`,
    )
  const insert = `INSERT INTO artifact
      (model, id, payload, grant_id, uid, user_code, consumed_at, expires_at)
    VALUES (@model, @id, @payload, @grantId, @uid, @userCode, @consumedAt, @expiresAt)`
  return {
    client: database.prepare<[string], { metadata: string }>(
      'SELECT metadata FROM client WHERE id = ?',
    ),
    find: find('id'),
    findByUid: find('uid'),
    findByUserCode: find('user_code'),
    upsert: database.prepare<[ArtifactRecord]>(
      `${insert}
       ON CONFLICT (model, id) DO UPDATE SET
         payload = excluded.payload, grant_id = excluded.grant_id, uid = excluded.uid,
         user_code = excluded.user_code, expires_at = excluded.expires_at,
         consumed_at = coalesce(consumed_at, excluded.consumed_at)`,
    ),
    // A proof that was seen is not seen again for the first time until it has expired.
    insertOnce: database.prepare<[ArtifactRecord, number]>(
      `${insert}
       ON CONFLICT (model, id) DO UPDATE SET
         payload = excluded.payload, expires_at = excluded.expires_at
       WHERE expires_at < ?`,
    ),
    consume: database.prepare<[number, string, string], { grant_id: string | null }>(
      `UPDATE artifact SET consumed_at = ? WHERE model = ? AND id = ? AND consumed_at IS NULL
       RETURNING grant_id`,
    ),
    unconsume: database.prepare<[string, string, number]>(
      'UPDATE artifact SET consumed_at = NULL WHERE model = ? AND id = ? AND consumed_at = ?',
    ),
    grantOf: database.prepare<[string, string], { grant_id: string | null }>(
      'SELECT grant_id FROM artifact WHERE model = ? AND id = ?',
    ),
    destroy: database.prepare<[string, string]>('DELETE FROM artifact WHERE model = ? AND id = ?'),
    revoke: database.prepare<[string]>('DELETE FROM artifact WHERE grant_id = ?'),
    lastOfBatch: database.prepare<[ArtifactKey], ArtifactKey>(
      `SELECT model, id FROM artifact WHERE (model, id) > (@model, @id)
       ORDER BY model, id LIMIT 1 OFFSET ${FORGET_BATCH - 1}`,
    ),
    forget: database.prepare<[ArtifactKey & { readonly pattern: string }]>(
      `DELETE FROM artifact WHERE payload LIKE @pattern ESCAPE '!' AND (model, id) IN
         (SELECT model, id FROM artifact WHERE (model, id) > (@model, @id)
          ORDER BY model, id LIMIT ${FORGET_BATCH})`,
    ),
    sweep: database.prepare<[number, number]>(
      `DELETE FROM artifact WHERE (model, id) IN
         (SELECT model, id FROM artifact WHERE expires_at < ? LIMIT ?)`,
    ),
    // Changes with every commit of another connection, as all writes to `client` are.
    version: database.prepare<[], number>('PRAGMA data_version').pluck(),
  }
}

function artifactAdapter(
  model: string,
  statements: Statements,
  { write }: Writer,
  clock: Clock,
): ArtifactAdapter {
  const revoke = (grantId: string) => {
    statements.destroy.run(GRANT, digest(grantId))
    statements.revoke.run(grantId)
  }
  return {
    async upsert(id, payload, expiresIn) {
      const now = clock.now()
      const record = toRecord(model, id, payload, { expiresIn, now })
      if (model !== REPLAY) {
        await write(() => statements.upsert.run(record))
        return
      }
      // oidc-provider looks first and saves then: of two uses at the same instant, one gets in.
      const { changes } = await write(() => statements.insertOnce.run(record, now))
      if (changes === 0) throw usedMeanwhile(model)
    },
    find: async (id) => toPayload(statements.find.get(model, digest(id)), id),
    findByUid: async (uid) => toPayload(statements.findByUid.get(model, uid)),
    findByUserCode: async (userCode) => toPayload(statements.findByUserCode.get(model, userCode)),
    async consume(id, noteUndo) {
      const key = digest(id)
      const use = createUse(clock.now())
      noteUndo?.(async () => {
        await write(() => statements.unconsume.run(model, key, use))
      })
      const isFirst = await write(() => {
        if (statements.consume.get(use, model, key)) return true
        const grantId = statements.grantOf.get(model, key)?.grant_id
        if (grantId) revoke(grantId)
        return false
      })
      if (!isFirst) throw usedMeanwhile(model)
    },
    async destroy(id) {
      await write(() => statements.destroy.run(model, digest(id)))
    },
    async revokeByGrantId(grantId) {
      await write(() => statements.revoke.run(grantId))
    },
  }
}

/** Seconds from one look whether others have changed the database to the next. */
const CLIENT_CHECK = 0.02

/** Clients in memory while nothing in the database changes. */
function cachedClients({ client, version }: Statements, clock: Pick<Clock, 'elapsed'>) {
  const known = new Map<string, AdapterPayload>()
  let knownVersion: number | undefined
  let checkedAt = -Infinity
  const adapter = clientAdapter(async (id) => {
    const now = clock.elapsed()
    if (now - checkedAt >= CLIENT_CHECK) {
      checkedAt = now
      const current = version.get()
      if (current !== knownVersion || known.size >= KNOWN_CLIENTS) known.clear()
      knownVersion = current
    }
    const found = known.get(id)
    if (found) return found
    const row = client.get(id)
    if (!row) return undefined
    const metadata: AdapterPayload = JSON.parse(row.metadata)
    known.set(id, metadata)
    return metadata
  })
  const forget = () => {
    checkedAt = -Infinity
  }
  return { adapter, forget }
}
