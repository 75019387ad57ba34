import { GRANT, SESSION } from '../artifacts/artifact-record.ts'
import type { ServerSettings } from '../connection/database-url.ts'
import {
  type ArtifactKey,
  type ArtifactTable,
  BEST_MATCH_FIRST,
  type OwnerColumn,
} from './artifact-table.ts'
import { FORGET_BATCH } from './forget.ts'
import { PostgresPool, postgresOptions } from './postgres-pool.ts'
import type { ClientRow } from './tables.ts'
import { waitForDisk } from './wait-for-disk.ts'

/** Most records of a statement, because each request waits for the whole statement. */
const BATCH = 200

/**
 * Settings of each connection to PostgreSQL:
 *
 * - synchronous_commit=off, unless database.durability is full: tokens do not wait for a disk
 *   flush. After a crash of the server the last moments (three times wal_writer_delay, 0.6 s) of
 *   sessions and tokens may be lost without further damage: people sign in again, and a code or a
 *   proof that was used in these moments could be used once more. Revocations wait (DURABLY). Keys,
 *   clients and people are written durably (`database.ts`).
 * - Every statement finds its rows by an index. Plans are made once per connection, perhaps while
 *   the table is empty, when a scan would look cheaper and soon be far too slow.
 */
const SETTINGS = `SET plan_cache_mode = force_generic_plan;
  SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off`
const COMMITS = {
  relaxed: 'SET synchronous_commit = off',
  full: `SELECT ${waitForDisk('session')}`,
} as const

const KEYS = 'unnest($1::text[], $2::text[]) AS wanted (model, id)'

/**
 * Makes the transaction wait for the disk, because revoked records must not come back after a
 * crash.
 */
const DURABLY = "(SELECT set_config('synchronous_commit', 'on', true)) = 'on'"

/** Applies a statement to an owner's records of a batch. */
const inBatch = (column: OwnerColumn, statement: string) => `WITH batch AS MATERIALIZED (
      SELECT model, id FROM artifact WHERE (model, id) > ($2, $3)
      ORDER BY model, id LIMIT ${FORGET_BATCH}),
    done AS (
      ${statement} (model, id) IN (SELECT model, id FROM batch)
        AND ${column} = $1 AND ${DURABLY})
    SELECT model, id FROM batch ORDER BY model DESC, id DESC LIMIT 1`

const FORGET = `DELETE FROM artifact WHERE model <> '${SESSION}' AND`
const END = `UPDATE artifact SET consumed_at = $4
      WHERE model = '${SESSION}' AND consumed_at IS NULL AND`

/** Statements that each connection prepares once. */
const SQL = {
  client: `SELECT id, metadata, id_token_algorithm, source, updated_at, mac
    FROM client WHERE issuer = $1 AND id = $2`,
  find: `SELECT artifact.model, artifact.id, payload, consumed_at FROM ${KEYS}
    JOIN artifact ON artifact.model = wanted.model AND artifact.id = wanted.id`,
  uid: `SELECT model, id, payload, consumed_at FROM artifact
    WHERE uid = $2 AND model = $1 ${BEST_MATCH_FIRST}`,
  user_code: `SELECT model, id, payload, consumed_at FROM artifact
    WHERE user_code = $2 AND model = $1 ${BEST_MATCH_FIRST}`,
  upsert: `INSERT INTO artifact
      (model, id, payload, grant_id, uid, user_code, account_id, client_id, consumed_at, expires_at)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
      $7::text[], $8::text[], $9::bigint[], $10::bigint[])
    ON CONFLICT (model, id) DO UPDATE SET
      payload = excluded.payload, grant_id = excluded.grant_id, uid = excluded.uid,
      user_code = excluded.user_code, account_id = excluded.account_id,
      client_id = excluded.client_id, expires_at = excluded.expires_at,
      consumed_at = coalesce(artifact.consumed_at, excluded.consumed_at)`,
  // A proof that was seen stays known until it has expired.
  insertOnce: `INSERT INTO artifact (model, id, payload, expires_at) VALUES ($1, $2, $3, $4)
    ON CONFLICT (model, id) DO UPDATE SET
      payload = excluded.payload, expires_at = excluded.expires_at
    WHERE artifact.expires_at < $5`,
  consume: `UPDATE artifact SET consumed_at = $3
    WHERE model = $1 AND id = $2 AND (consumed_at IS NULL OR consumed_at = $3)`,
  consumeAgain: 'UPDATE artifact SET consumed_at = $3 WHERE model = $1 AND id = $2',
  unconsume: `UPDATE artifact SET consumed_at = NULL
    WHERE model = $1 AND id = $2 AND consumed_at = $3`,
  grantOf: 'SELECT grant_id FROM artifact WHERE model = $1 AND id = $2',
  destroy: 'DELETE FROM artifact WHERE model = $1 AND id = $2',
  destroyGrant: `DELETE FROM artifact WHERE model = $1 AND id = $2 AND ${DURABLY}`,
  revoke: `DELETE FROM artifact WHERE grant_id = ANY ($1::text[]) AND ${DURABLY}`,
  forget_account_id: inBatch('account_id', FORGET),
  forget_client_id: inBatch('client_id', FORGET),
  end_account_id: inBatch('account_id', END),
  end_client_id: inBatch('client_id', END),
  // Records locked by another node's sweep or a request are left for the next sweep.
  sweep: `DELETE FROM artifact WHERE (model, id) IN
    (SELECT model, id FROM artifact WHERE expires_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)`,
} as const

/** The table `artifact` in PostgreSQL. */
export function openPostgresArtifacts(settings: ServerSettings): ArtifactTable {
  const session = `${COMMITS[settings.durability ?? 'relaxed']}; ${SETTINGS}`
  const pool = new PostgresPool(postgresOptions({ ...settings, session }))
  const run = <Row extends object = never>(name: keyof typeof SQL, values: unknown[]) =>
    pool.query<Row>({ name, text: SQL[name], values })

  return {
    batch: (waiting) => Math.min(waiting, BATCH),
    find: async (keys) => {
      const values = [keys.map((key) => key.model), keys.map((key) => key.id)]
      const { rows } = await run<Row>('find', values)
      return rows.map(toFound)
    },
    findBy: async (column, model, hash) => {
      const { rows } = await run<Row>(column, [model, hash])
      return rows[0] && toFound(rows[0])
    },
    upsert: async (records) => {
      await run('upsert', [
        records.map((record) => record.model),
        records.map((record) => record.id),
        records.map((record) => record.payload),
        records.map((record) => record.grantId),
        records.map((record) => record.uid),
        records.map((record) => record.userCode),
        records.map((record) => record.accountId),
        records.map((record) => record.clientId),
        records.map((record) => record.consumedAt),
        records.map((record) => record.expiresAt),
      ])
    },
    insertOnce: async ({ model, id, payload, expiresAt }, now) => {
      const { rowCount } = await run('insertOnce', [model, id, payload, expiresAt, now])
      return rowCount === 1
    },
    consume: async ({ model, id }, use) => (await run('consume', [model, id, use])).rowCount === 1,
    consumeAgain: async ({ model, id }, use) => {
      await run('consumeAgain', [model, id, use])
    },
    unconsume: async ({ model, id }, use) => {
      await run('unconsume', [model, id, use])
    },
    grantOf: async ({ model, id }) => {
      const { rows } = await run<{ grant_id: string | null }>('grantOf', [model, id])
      return rows[0]?.grant_id
    },
    destroy: async ({ model, id }) => {
      await run(model === GRANT ? 'destroyGrant' : 'destroy', [model, id])
    },
    revoke: async (grantIds) => {
      await run('revoke', [grantIds])
    },
    forget: async ({ column, name }, { model, id }) =>
      (await run<ArtifactKey>(`forget_${column}`, [name, model, id])).rows[0],
    endSessions: async ({ column, name }, { model, id }, use) =>
      (await run<ArtifactKey>(`end_${column}`, [name, model, id, use])).rows[0],
    sweep: async (before, limit) => (await run('sweep', [before, limit])).rowCount ?? 0,
    client: async (issuer, id) => {
      const [row] = (await run<StoredClient>('client', [issuer, id])).rows
      if (!row) return undefined
      const { id_token_algorithm: idTokenAlgorithm, updated_at: updatedAt, ...rest } = row
      return { ...rest, idTokenAlgorithm, updatedAt: Number(updatedAt) }
    },
    close: () => pool.end(),
  }
}

interface Row {
  readonly model: string
  readonly id: string
  readonly payload: string
  /** Text, because pg returns 64-bit numbers as text. */
  readonly consumed_at: string | null
}

function toFound({ consumed_at: consumedAt, ...row }: Row) {
  return { ...row, consumedAt: consumedAt === null ? null : Number(consumedAt) }
}

type StoredClient = Pick<ClientRow, 'id' | 'metadata' | 'source' | 'mac'> & {
  readonly id_token_algorithm: string
  /** Text, as above. */
  readonly updated_at: string
}
