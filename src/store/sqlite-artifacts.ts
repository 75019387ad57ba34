import { hash } from 'node:crypto'
import Sqlite from 'better-sqlite3'
import { type Adapter, type AdapterPayload, errors } from 'oidc-provider'
import type { Clock } from '../clock.ts'
import { type ArtifactStore, ownerPattern } from './artifact-store.ts'
import { sqlitePath } from './database.ts'
import { BUSY_TIMEOUT, storeUnavailable } from './failures.ts'
import { createWriter, type Writer } from './shared-commits.ts'

/**
 * Ids are bearer credentials - a token is its id - so they are stored as hashes: who can read the
 * database cannot use what is in it. These two models are also found by another field and saved
 * again, for which their id must be known; alone it is worth nothing, as a session needs its
 * signed cookie and a device code its client.
 */
const KEEPS_ID: readonly string[] = ['Session', 'DeviceCode']

/** The model that remembers proofs and assertions which may be used once (DPoP, private_key_jwt). */
const REPLAY = 'ReplayDetection'

/** Clients kept in memory while nothing in the database changes. */
const KNOWN_CLIENTS = 1000

/** Records stay this many seconds past their end, so that "expired" can be told from "unknown". */
const GRACE = 60

/**
 * A connection of its own: synchronous=NORMAL, so that a token costs no disk flush. After a power
 * failure the last moments of sessions and tokens may be gone, and nothing is damaged; people sign
 * in again. Keys, clients and people are written durably through `database.ts`.
 * @throws StoreUnavailable
 */
export function openSqliteArtifacts(url: string, clock: Clock): ArtifactStore {
  const database = open(url)
  const statements = prepare(database)
  const writer = createWriter(database)
  const adapters = new Map<string, Adapter>()

  return {
    adapter: (model) => {
      const known = adapters.get(model)
      if (known) return known
      const made =
        model === 'Client'
          ? clientAdapter(statements)
          : artifactAdapter(model, statements, writer, clock)
      adapters.set(model, made)
      return made
    },
    sweep: (limit) => writer.write(() => statements.sweep.run(clock.now() - GRACE, limit).changes),
    forget: async (owner, id) => {
      await writer.write(() => statements.forget.run(ownerPattern(owner, id)))
    },
    close: async () => {
      writer.flush()
      database.close()
    },
  }
}

function open(url: string): Sqlite.Database {
  try {
    const database = new Sqlite(sqlitePath(url), { timeout: BUSY_TIMEOUT })
    database.pragma('journal_mode = WAL')
    database.pragma('synchronous = NORMAL')
    return database
  } catch (error) {
    throw storeUnavailable(`open the database ${url}`, error)
  }
}

type Statements = ReturnType<typeof prepare>

interface Row {
  readonly payload: string
  readonly consumed_at: number | null
}

type UpsertParameters = [
  model: string,
  id: string,
  payload: string,
  grantId: string | null,
  uid: string | null,
  userCode: string | null,
  consumedAt: number | null,
  expiresAt: number | null,
]

function prepare(database: Sqlite.Database) {
  const find = (column: string) =>
    database.prepare<[string, string], Row>(
      `SELECT payload, consumed_at FROM artifact WHERE model = ? AND ${column} = ?`,
    )
  return {
    client: database.prepare<[string], { metadata: string }>(
      'SELECT metadata FROM client WHERE id = ?',
    ),
    find: find('id'),
    findByUid: find('uid'),
    findByUserCode: find('user_code'),
    upsert: database.prepare<UpsertParameters>(
      `INSERT INTO artifact
         (model, id, payload, grant_id, uid, user_code, consumed_at, expires_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (model, id) DO UPDATE SET
         payload = excluded.payload, grant_id = excluded.grant_id, uid = excluded.uid,
         user_code = excluded.user_code, expires_at = excluded.expires_at,
         consumed_at = coalesce(consumed_at, excluded.consumed_at)`,
    ),
    // A proof that was seen is not seen again for the first time until it has expired.
    insertOnce: database.prepare<[...UpsertParameters, number]>(
      `INSERT INTO artifact
         (model, id, payload, grant_id, uid, user_code, consumed_at, expires_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (model, id) DO UPDATE SET
         payload = excluded.payload, expires_at = excluded.expires_at
       WHERE expires_at < ?`,
    ),
    consume: database.prepare<[number, string, string], { grant_id: string | null }>(
      `UPDATE artifact SET consumed_at = ? WHERE model = ? AND id = ? AND consumed_at IS NULL
       RETURNING grant_id`,
    ),
    grantOf: database.prepare<[string, string], { grant_id: string | null }>(
      'SELECT grant_id FROM artifact WHERE model = ? AND id = ?',
    ),
    destroy: database.prepare<[string, string]>('DELETE FROM artifact WHERE model = ? AND id = ?'),
    revoke: database.prepare<[string]>('DELETE FROM artifact WHERE grant_id = ?'),
    forget: database.prepare<[string]>("DELETE FROM artifact WHERE payload LIKE ? ESCAPE '!'"),
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
): Adapter {
  const keepsId = KEEPS_ID.includes(model)

  const read = (row: Row | undefined, id?: string): AdapterPayload | undefined => {
    if (!row) return undefined
    const payload: AdapterPayload = JSON.parse(row.payload)
    if (id !== undefined) payload.jti = id
    if (row.consumed_at !== null) payload.consumed = row.consumed_at
    return payload
  }

  return {
    async upsert(id, payload, expiresIn) {
      const stored = keepsId ? payload : { ...payload, jti: undefined }
      const { grantId = null, uid = null, userCode = null, consumed } = payload
      const expiresAt = expiresIn ? clock.now() + expiresIn : null
      const consumedAt = typeof consumed === 'number' ? consumed : null
      const keys = [grantId, uid, userCode, consumedAt, expiresAt] as const
      const text = JSON.stringify(stored)
      if (model !== REPLAY) {
        await write(() => statements.upsert.run(model, digest(id), text, ...keys))
        return
      }
      // oidc-provider looks first and saves then: of two uses at the same instant, one gets in.
      const now = clock.now()
      const insert = () => statements.insertOnce.run(model, digest(id), text, ...keys, now)
      if ((await write(insert)).changes === 0) {
        throw new errors.InvalidRequest('it was used by another request at the same time')
      }
    },
    find: async (id) => read(statements.find.get(model, digest(id)), id),
    findByUid: async (uid) => read(statements.findByUid.get(model, uid)),
    findByUserCode: async (userCode) => read(statements.findByUserCode.get(model, userCode)),
    async consume(id) {
      const key = digest(id)
      const isFirst = await write(() => {
        if (statements.consume.get(clock.now(), model, key)) return true
        // Two requests redeemed it at the same instant and this one lost. As one of them may be a
        // thief's, everything that came of the grant goes (RFC 9700, sections 2.1.1 and 4.14.2).
        const grantId = statements.grantOf.get(model, key)?.grant_id
        if (grantId) statements.revoke.run(grantId)
        return false
      })
      if (!isFirst) throw new errors.InvalidGrant('it was used by another request at the same time')
    },
    async destroy(id) {
      await write(() => statements.destroy.run(model, digest(id)))
    },
    async revokeByGrantId(grantId) {
      await write(() => statements.revoke.run(grantId))
    },
  }
}

/** Clients are registered through `clients.ts`; oidc-provider only looks them up, with each request. */
function clientAdapter({ client, version }: Statements): Adapter {
  const readOnly = async () => {
    throw new TypeError('clients are not registered through oidc-provider')
  }
  const known = new Map<string, AdapterPayload>()
  let knownVersion: number | undefined
  return {
    find: async (id) => {
      const current = version.get()
      if (current !== knownVersion || known.size >= KNOWN_CLIENTS) known.clear()
      knownVersion = current
      const found = known.get(id)
      if (found) return found
      const row = client.get(id)
      if (!row) return undefined
      const metadata: AdapterPayload = JSON.parse(row.metadata)
      known.set(id, metadata)
      return metadata
    },
    findByUid: async () => undefined,
    findByUserCode: async () => undefined,
    upsert: readOnly,
    consume: readOnly,
    destroy: readOnly,
    revokeByGrantId: readOnly,
  }
}

function digest(id: string): string {
  return hash('sha256', id, 'base64url')
}
