import Sqlite from 'better-sqlite3-napi'
import { createArtifactAdapter, type StoredArtifacts } from '../artifacts/artifact-adapter.ts'
import {
  type ArtifactRecord,
  createConsumptionMark,
  type FoundRecord,
  GRACE,
  GRANT,
  SESSION,
} from '../artifacts/artifact-record.ts'
import type { ArtifactStore } from '../artifacts/artifact-store.ts'
import { createExchange, type ExchangeStored } from '../artifacts/exchange.ts'
import { clientAdapter } from '../clients/client-adapter.ts'
import { withoutEnded } from '../clients/previous-secrets.ts'
import type { Clock } from '../clock.ts'
import type { ServerSettings } from '../connection/database-url.ts'
import type { ArtifactPlace } from './artifact-place.ts'
import { type ArtifactKey, bestMatch, OWNER_COLUMNS, type OwnerColumn } from './artifact-table.ts'
import type { Authentic } from './authentic.ts'
import { sqlitePath } from './database.ts'
import { BUSY_TIMEOUT, storeUnavailable } from './failures.ts'
import { FORGET_BATCH, forgetInBatches } from './forget.ts'
import { keepWhileUnchanged } from './keep-while-unchanged.ts'
import { createWriter, type Writer } from './shared-commits.ts'
import { createReader, type Reader } from './shared-reads.ts'
import type { ClientRow } from './tables.ts'

/**
 * A connection of its own: synchronous=NORMAL, unless database.durability is full, so that a token
 * costs no disk flush. After a power failure the last moments of sessions and tokens may be gone,
 * and nothing is damaged; people sign in again. Keys, clients and people are written durably
 * through `database.ts`.
 * @throws StoreUnavailable
 */
export function openSqliteArtifacts(
  { url, durability }: Pick<ServerSettings, 'url' | 'durability'>,
  clock: Clock,
): ArtifactPlace {
  const database = open(url, durability === 'full' ? 'FULL' : 'NORMAL')
  const statements = prepareOrClose(database)
  const reader = createReader(database)
  const writer = createWriter(database, reader)

  return {
    of: (authentic) => artifactsOf(authentic, { statements, reader, writer, clock }),
    sweep: (limit) => writer.write(() => statements.sweep.run(clock.now() - GRACE, limit).changes),
    version: () => {
      // Inside a transaction the version stays that of its begin.
      reader.end()
      return statements.version.get()
    },
    close: async () => {
      writer.flush()
      reader.end()
      database.close()
    },
  }
}

function artifactsOf(authentic: Authentic, opened: Opened): ArtifactStore {
  const { statements, writer, clock } = opened
  const clients = cachedClients(opened, authentic)
  return {
    adapter: (model) =>
      model === 'Client'
        ? clients.adapter
        : createArtifactAdapter(model, storedArtifacts(model, opened), { authentic, clock }),
    exchange: createExchange(exchangeAtOnce(opened), { authentic, clock }),
    forget: async (owner, id) => {
      const { artifacts } = await authentic.open()
      const column = OWNER_COLUMNS[owner]
      const name = artifacts.ownerName(owner, id)
      const use = createConsumptionMark(clock.now())
      const inBatch = (act: (after: ArtifactKey) => void) => (after: ArtifactKey) =>
        writer.write(() => {
          const last = statements.lastOfBatch.get(after)
          act(after)
          return last
        })
      await forgetInBatches(
        inBatch((after) => statements.endSessions[column].run({ ...after, name, use })),
        inBatch((after) => statements.forget[column].run({ ...after, name })),
      )
    },
    // The database itself says when something changed.
    forgetClients: clients.forget,
  }
}

/**
 * Pages of 4 KiB after which the write-ahead log is copied into the database: 64 MB instead of
 * SQLite's 4. Tokens lie anywhere in the tables, as their ids are hashes, so that copies cost less
 * the more changes of one page they have together. A refresh takes a fifth less time.
 */
const CHECKPOINT = 16_000

function open(url: string, synchronous: 'FULL' | 'NORMAL'): Sqlite.Database {
  try {
    const database = new Sqlite(sqlitePath(url), { timeout: BUSY_TIMEOUT })
    database.pragma('journal_mode = WAL')
    database.pragma(`wal_autocheckpoint = ${CHECKPOINT}`)
    database.pragma(`synchronous = ${synchronous}`)
    return database
  } catch (error) {
    throw storeUnavailable(`open the database ${url}`, error)
  }
}

function prepareOrClose(database: Sqlite.Database): Statements {
  try {
    return prepare(database)
  } catch (error) {
    database.close()
    throw storeUnavailable('open sessions and tokens', error)
  }
}

type Statements = ReturnType<typeof prepare>

function prepare(database: Sqlite.Database) {
  const findBy = (column: string) =>
    database.prepare<[string, string], FoundRecord & Pick<ArtifactRecord, 'expiresAt'>>(
      `SELECT model, id, payload, consumed_at AS consumedAt, expires_at AS expiresAt FROM artifact
       WHERE model = ? AND ${column} = ?`,
    )
  const insert = `INSERT INTO artifact
      (model, id, payload, grant_id, uid, user_code, account_id, client_id, consumed_at, expires_at)
    VALUES (@model, @id, @payload, @grantId, @uid, @userCode, @accountId, @clientId, @consumedAt,
      @expiresAt)`
  const inBatch = (column: OwnerColumn) => `${column} = @name AND (model, id) IN
         (SELECT model, id FROM artifact WHERE (model, id) > (@model, @id)
          ORDER BY model, id LIMIT ${FORGET_BATCH})`
  const forget = (column: OwnerColumn) =>
    database.prepare<[ArtifactKey & { readonly name: string }]>(
      `DELETE FROM artifact WHERE model <> '${SESSION}' AND ${inBatch(column)}`,
    )
  const endSessions = (column: OwnerColumn) =>
    database.prepare<[ArtifactKey & { readonly name: string; readonly use: number }]>(
      `UPDATE artifact SET consumed_at = @use
       WHERE model = '${SESSION}' AND consumed_at IS NULL AND ${inBatch(column)}`,
    )
  return {
    client: database.prepare<[string, string], ClientRow>(
      `SELECT id, metadata, id_token_algorithm AS idTokenAlgorithm, source,
         updated_at AS updatedAt, mac FROM client WHERE issuer = ? AND id = ?`,
    ),
    find: database.prepare<[string, string], Omit<FoundRecord, 'model' | 'id'>>(
      'SELECT payload, consumed_at AS consumedAt FROM artifact WHERE model = ? AND id = ?',
    ),
    findByUid: findBy('uid'),
    findByUserCode: findBy('user_code'),
    upsert: database.prepare<[ArtifactRecord]>(
      `${insert}
       ON CONFLICT (model, id) DO UPDATE SET
         payload = excluded.payload, grant_id = excluded.grant_id, uid = excluded.uid,
         user_code = excluded.user_code, account_id = excluded.account_id,
         client_id = excluded.client_id, expires_at = excluded.expires_at,
         consumed_at = coalesce(consumed_at, excluded.consumed_at)`,
    ),
    // A proof that was seen is not seen again for the first time until it has expired.
    insertOnce: database.prepare<[ArtifactRecord, number]>(
      `${insert}
       ON CONFLICT (model, id) DO UPDATE SET
         payload = excluded.payload, expires_at = excluded.expires_at
       WHERE expires_at < ?`,
    ),
    consume: database.prepare<[number, string, string]>(
      'UPDATE artifact SET consumed_at = ? WHERE model = ? AND id = ? AND consumed_at IS NULL',
    ),
    consumeAgain: database.prepare<[number, string, string]>(
      'UPDATE artifact SET consumed_at = ? WHERE model = ? AND id = ?',
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
    forget: { account_id: forget('account_id'), client_id: forget('client_id') },
    endSessions: { account_id: endSessions('account_id'), client_id: endSessions('client_id') },
    sweep: database.prepare<[number, number]>(
      `DELETE FROM artifact WHERE (model, id) IN
         (SELECT model, id FROM artifact WHERE expires_at < ? LIMIT ?)`,
    ),
    // Changes with every commit of another connection, as all writes to `client` and `account` are.
    version: database.prepare<[], number>('PRAGMA data_version').pluck(),
  }
}

interface Opened {
  readonly statements: Statements
  readonly reader: Reader
  readonly writer: Writer
  readonly clock: Pick<Clock, 'now' | 'elapsed'>
}

function revokeWithGrant({ destroy, revoke }: Statements, grantId: string): void {
  destroy.run(GRANT, grantId)
  revoke.run(grantId)
}

/** Consumes and saves in one transaction. */
function exchangeAtOnce({
  statements,
  writer: { write },
}: Pick<Opened, 'statements' | 'writer'>): ExchangeStored {
  return ({ used: { model, id }, issued, answer }, { now, noteUndo }) => {
    const use = createConsumptionMark(now)
    noteUndo?.(async () => {
      await write(() => statements.unconsume.run(model, id, use))
    })
    return write(() => {
      const found = statements.grantOf.get(model, id)
      if (!found) return 'gone'
      if (answer) {
        if (statements.insertOnce.run(answer, now).changes === 0) return 'answered'
        statements.consumeAgain.run(use, model, id)
      } else if (statements.consume.run(use, model, id).changes === 0) {
        if (found.grant_id) revokeWithGrant(statements, found.grant_id)
        return 'used'
      }
      for (const record of issued) statements.upsert.run(record)
      return 'done'
    })
  }
}

/** The records of one model. */
function storedArtifacts(model: string, opened: Opened): StoredArtifacts {
  const {
    statements,
    reader: { read },
    writer: { write },
    clock,
  } = opened
  const exchange = exchangeAtOnce(opened)
  return {
    save: (record) => write(() => statements.upsert.run(record)),
    saveOnce: async (record, now) =>
      (await write(() => statements.insertOnce.run(record, now))).changes === 1,
    find: (id) => {
      const found = read(() => statements.find.get(model, id))
      return found && { model, id, ...found }
    },
    findByUid: (hash) => bestMatch(read(() => statements.findByUid.all(model, hash))),
    findByUserCode: (hash) => bestMatch(read(() => statements.findByUserCode.all(model, hash))),
    consumeOrRevoke: async (id, noteUndo) => {
      const nothing = { used: { model, id }, issued: [], answer: undefined }
      const done = await exchange(nothing, { now: clock.now(), noteUndo })
      return done === 'gone' ? undefined : done === 'done'
    },
    consumeAgain: (id, at) =>
      write(() => statements.consumeAgain.run(createConsumptionMark(at), model, id)),
    destroy: (id) => write(() => statements.destroy.run(model, id)),
    revoke: (grantId) => write(() => statements.revoke.run(grantId)),
  }
}

/** Seconds from one look whether others have changed the database to the next. */
const CLIENT_CHECK = 0.02

/** Clients in memory while nothing in the database changes. */
function cachedClients(
  { statements: { client, version }, reader, clock }: Opened,
  authentic: Authentic,
) {
  let seen: number | undefined
  let checkedAt = -Infinity
  const recentVersion = () => {
    const now = clock.elapsed()
    if (now - checkedAt >= CLIENT_CHECK) {
      checkedAt = now
      seen = version.get()
    }
    return seen
  }
  const find = keepWhileUnchanged(async (id) => {
    const { clients } = await authentic.open()
    // Another connection writes clients, perhaps in this turn.
    reader.end()
    return clients.toPayload(client.get(authentic.issuer, id))
  }, recentVersion)
  const adapter = clientAdapter(async (id) => {
    const metadata = await find(id)
    return metadata && withoutEnded(metadata, clock.now())
  })
  const forget = () => {
    checkedAt = -Infinity
  }
  return { adapter, forget }
}
