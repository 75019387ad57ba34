import type { DataSource, EntityManager, EntitySchema, ObjectLiteral } from 'typeorm'
import { PlaceTaken } from '../errors.ts'
import { missingKeys, type PlacedRecord } from '../ring/add-together.ts'
import type { RecordsTogether } from '../ring/key-store.ts'
import { insertNew } from './insert-new.ts'
import { sqliteConnection } from './sqlite-connection.ts'
import { keyEventSchema, keySchema, type Owned } from './tables.ts'

interface OwnedRecords extends RecordsTogether {
  readonly issuer: string
}

/** Most rows of a statement, because engines accept some ten thousand parameters. */
const ROWS_MAX = 500

/**
 * Adds keys and events in one transaction (`KeyStore.addTogether`).
 * @param inTransaction for servers only; SQLite has one connection for all, so other work would
 * become part of a waiting transaction
 * @throws KidTaken, PlaceTaken
 */
export async function addTogether(
  dataSource: DataSource,
  { issuer, keys, events, replaced = [] }: OwnedRecords,
  inTransaction: (work: (manager: EntityManager) => Promise<unknown>) => Promise<unknown>,
): Promise<void> {
  if (dataSource.options.type === 'better-sqlite3') {
    return addAtOnce(dataSource, { issuer, keys, events, replaced })
  }
  await inTransaction(async (manager) => {
    for (const { id, data } of replaced) await manager.delete(keySchema, { issuer, id, data })
    for (const rows of chunks(keys, issuer)) await insertNew(manager, keySchema, rows)
    // Rows that another transaction added meanwhile were skipped, and are visible now.
    assertThere(keys, await manager.findBy(keySchema, { issuer }))
    for (const rows of chunks(events, issuer)) {
      await manager.upsert(keyEventSchema, [...rows], ['issuer', 'id'])
    }
  })
}

/**
 * Adds within one turn of the event loop, so that no other work becomes part of the transaction.
 */
function addAtOnce(
  dataSource: DataSource,
  { issuer, keys, events, replaced }: OwnedRecords & Pick<Required<OwnedRecords>, 'replaced'>,
): void {
  const { database, run } = sqliteConnection(dataSource)
  const insert = <T extends ObjectLiteral>(schema: EntitySchema<T>, rows: readonly T[]) =>
    // TypeORM only reads them.
    dataSource
      .createQueryBuilder()
      .insert()
      .into(schema)
      .values(rows as T[])
  const add = database.transaction(() => {
    for (const { id, data } of replaced) {
      run(['DELETE FROM ring_key WHERE issuer = ? AND id = ? AND data = ?', [issuer, id, data]])
    }
    for (const rows of chunks(keys, issuer))
      run(insert(keySchema, rows).orIgnore().getQueryAndParameters())
    const there = database.prepare(
      'SELECT id, ring, generation, data FROM ring_key WHERE issuer = ?',
    )
    // The columns are those of the statement.
    assertThere(keys, there.all(issuer) as PlacedRecord[])
    for (const rows of chunks(events, issuer)) {
      const columns = ['ring', 'type', 'recorded_at', 'body']
      run(insert(keyEventSchema, rows).orUpdate(columns, ['issuer', 'id']).getQueryAndParameters())
    }
  })
  add.immediate()
}

function assertThere(keys: readonly PlacedRecord[], stored: readonly PlacedRecord[]): void {
  const [missing] = missingKeys(keys, stored)
  if (missing) throw new PlaceTaken(missing.ring, missing.generation)
}

function chunks<T>(records: readonly T[], issuer: string): readonly (readonly Owned<T>[])[] {
  const rows = records.map((record) => ({ ...record, issuer }))
  return Array.from({ length: Math.ceil(rows.length / ROWS_MAX) }, (_, at) =>
    rows.slice(at * ROWS_MAX, (at + 1) * ROWS_MAX),
  )
}
