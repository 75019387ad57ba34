import type { ResultSetHeader, RowDataPacket } from 'mysql2'
import { type ArtifactRecord, type FoundRecord, SESSION } from '../artifacts/artifact-record.ts'
import type { ServerSettings } from '../connection/database-url.ts'
import {
  type ArtifactKey,
  type ArtifactTable,
  BEST_MATCH_FIRST,
  type OwnerOfRecords,
} from './artifact-table.ts'
import { isDuplicate } from './failures.ts'
import { FORGET_BATCH } from './forget.ts'
import { createMysqlPool, mysqlSettings } from './mysql-pool.ts'
import type { ClientRow } from './tables.ts'

/** Most records of a statement. */
const BATCH = 64

const COLUMNS =
  '(model, id, payload, grant_id, uid, user_code, account_id, client_id, consumed_at, expires_at)'

// Comparisons of (model, id), spelled so that they are read from the index.
const AFTER = '(model > ? OR (model = ? AND id > ?))'
const UP_TO = '(model < ? OR (model = ? AND id <= ?))'

/**
 * The table `artifact` in MariaDB and MySQL. Durability cannot be chosen for a session: with
 * innodb_flush_log_at_trx_commit=1, which keys need, each statement waits for a flush of the log,
 * so batches are most useful here.
 */
export function openMysqlArtifacts(settings: ServerSettings): ArtifactTable {
  const pool = createMysqlPool(mysqlSettings(settings)).promise()
  const read: Read = async <Row>(sql: string, values: Value[]) =>
    (await pool.execute<(Row & RowDataPacket)[]>(sql, values))[0]
  const write: Write = async (sql: string, values: Value[]) =>
    (await pool.execute<ResultSetHeader>(sql, values))[0].affectedRows
  const findBy = (where: string, values: Value[]) =>
    read<FoundRecord>(
      `SELECT model, id, payload, consumed_at AS consumedAt FROM artifact WHERE ${where}`,
      values,
    )

  return {
    // Powers of two, because each number of records needs its own prepared statement.
    batch: (waiting) => Math.min(BATCH, 2 ** Math.floor(Math.log2(waiting))),
    find: (keys) =>
      findBy(
        `(model, id) IN (${repeat('(?, ?)', keys.length)})`,
        keys.flatMap(({ model, id }) => [model, id]),
      ),
    findBy: async (column, model, hash) =>
      (await findBy(`${column} = ? AND model = ? ${BEST_MATCH_FIRST}`, [hash, model]))[0],
    upsert: (records) => upsert(write, records),
    insertOnce: (record, now) => insertOnce(write, record, now),
    consume: async ({ model, id }, use) => {
      const sql = `UPDATE artifact SET consumed_at = ?
        WHERE model = ? AND id = ? AND (consumed_at IS NULL OR consumed_at = ?)`
      return (await write(sql, [use, model, id, use])) === 1
    },
    consumeAgain: async ({ model, id }, use) => {
      const sql = 'UPDATE artifact SET consumed_at = ? WHERE model = ? AND id = ?'
      await write(sql, [use, model, id])
    },
    unconsume: async ({ model, id }, use) => {
      const sql = `UPDATE artifact SET consumed_at = NULL
        WHERE model = ? AND id = ? AND consumed_at = ?`
      await write(sql, [model, id, use])
    },
    grantOf: async ({ model, id }) => {
      const sql = 'SELECT grant_id AS grantId FROM artifact WHERE model = ? AND id = ?'
      return (await read<{ grantId: string | null }>(sql, [model, id]))[0]?.grantId
    },
    destroy: async ({ model, id }) => {
      await write('DELETE FROM artifact WHERE model = ? AND id = ?', [model, id])
    },
    revoke: async (grantIds) => {
      const marks = repeat('?', grantIds.length)
      await write(`DELETE FROM artifact WHERE grant_id IN (${marks})`, [...grantIds])
    },
    forget: (owner, after) => {
      const sql = `DELETE FROM artifact WHERE model <> '${SESSION}'`
      return inBatch({ read, write }, after, { sql, owner })
    },
    endSessions: (owner, after, use) => {
      const sql = `UPDATE artifact SET consumed_at = ?
        WHERE model = '${SESSION}' AND consumed_at IS NULL`
      return inBatch({ read, write }, after, { sql, values: [use], owner })
    },
    // In a fixed order, so that two sweeping nodes wait for each other instead of a deadlock.
    sweep: (before, limit) =>
      // The limit is part of the text, because MySQL rejects the driver's numbers as a limit; it is
      // a setting.
      write(`DELETE FROM artifact WHERE expires_at < ? ORDER BY expires_at LIMIT ${limit}`, [
        before,
      ]),
    client: async (issuer, id) => {
      const sql = `SELECT id, metadata, id_token_algorithm AS idTokenAlgorithm, source,
        updated_at AS updatedAt, mac FROM client WHERE issuer = ? AND id = ?`
      return (await read<ClientRow>(sql, [issuer, id]))[0]
    },
    close: () => pool.end(),
  }
}

type Value = string | number | null

/** Reads rows. */
type Read = <Row>(sql: string, values: Value[]) => Promise<Row[]>

/** @returns number of rows that the statement changed */
type Write = (sql: string, values: Value[]) => Promise<number>

async function upsert(write: Write, records: readonly ArtifactRecord[]): Promise<void> {
  await write(
    `INSERT INTO artifact ${COLUMNS} VALUES ${repeat(`(${repeat('?', 10)})`, records.length)}
     ON DUPLICATE KEY UPDATE
       payload = VALUES(payload), grant_id = VALUES(grant_id), uid = VALUES(uid),
       user_code = VALUES(user_code), account_id = VALUES(account_id),
       client_id = VALUES(client_id), expires_at = VALUES(expires_at),
       consumed_at = COALESCE(consumed_at, VALUES(consumed_at))`,
    records.flatMap((record) => [
      record.model,
      record.id,
      record.payload,
      record.grantId,
      record.uid,
      record.userCode,
      record.accountId,
      record.clientId,
      record.consumedAt,
      record.expiresAt,
    ]),
  )
}

/** Two statements, because ON DUPLICATE KEY UPDATE does not tell whether it inserted or updated. */
async function insertOnce(
  write: Write,
  { model, id, payload, expiresAt }: ArtifactRecord,
  now: number,
): Promise<boolean> {
  try {
    await write('INSERT INTO artifact (model, id, payload, expires_at) VALUES (?, ?, ?, ?)', [
      model,
      id,
      payload,
      expiresAt,
    ])
    return true
  } catch (error) {
    if (!isDuplicate(error)) throw error
  }
  const sql = `UPDATE artifact SET payload = ?, expires_at = ?
    WHERE model = ? AND id = ? AND expires_at < ?`
  return (await write(sql, [payload, expiresAt, model, id, now])) === 1
}

/**
 * Applies a statement to an owner's records among the next ones.
 * @returns the last of these records; undefined at the end of the table
 */
async function inBatch(
  { read, write }: { readonly read: Read; readonly write: Write },
  { model, id }: ArtifactKey,
  statement: {
    readonly sql: string
    readonly values?: readonly Value[]
    readonly owner: OwnerOfRecords
  },
): Promise<ArtifactKey | undefined> {
  const { sql, values = [], owner } = statement
  const [last] = await read<ArtifactKey>(
    `SELECT model, id FROM artifact WHERE ${AFTER}
     ORDER BY model, id LIMIT 1 OFFSET ${FORGET_BATCH - 1}`,
    [model, model, id],
  )
  const upTo = last ? [last.model, last.model, last.id] : []
  await write(`${sql} AND ${AFTER} ${last ? `AND ${UP_TO}` : ''} AND ${owner.column} = ?`, [
    ...values,
    model,
    model,
    id,
    ...upTo,
    owner.name,
  ])
  return last
}

function repeat(text: string, count: number): string {
  return Array.from({ length: count }, () => text).join(', ')
}
