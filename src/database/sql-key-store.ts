import type { DataSource, EntityManager } from 'typeorm'
import { KidTaken } from '../errors.ts'
import type { KeyStore } from '../ring/key-store.ts'
import { checkSerializedKey } from '../ring/records.ts'
import { addTogether } from './add-together.ts'
import { attemptIdempotent, attemptRead } from './failures.ts'
import { insertNew } from './insert-new.ts'
import { keyEventSchema, keySchema, withoutIssuer } from './tables.ts'
import { waitForDisk } from './wait-for-disk.ts'

/**
 * A KeyStore of one issuer in the tables `ring_key` and `key_event`. All operations are idempotent,
 * so a broken connection only causes a delay.
 *
 * An erased or deleted key is gone from SQLite's file at once. PostgreSQL keeps the old version of
 * a row until autovacuum has passed and its pages are written again, InnoDB until purge has, and
 * backups and logs for replicas keep it longer. Such remains are sealed under the key-encryption
 * key, as the row itself was.
 * @param issuer '' for the secret of the deployment, which belongs to no issuer
 */
export function createSqlKeyStore(dataSource: DataSource, issuer = ''): KeyStore {
  const keys = dataSource.getRepository(keySchema)
  const events = dataSource.getRepository(keyEventSchema)
  /**
   * Makes a transaction wait for the disk and a synchronous standby, whatever the settings of
   * session or server.
   */
  const durably = (work: (manager: EntityManager) => Promise<unknown>) =>
    dataSource.options.type === 'postgres'
      ? dataSource.transaction(async (manager) => {
          await manager.query(`SELECT ${waitForDisk('transaction')}`)
          await work(manager)
        })
      : work(dataSource.manager)
  return {
    load: () =>
      attemptRead('read the key ring', async () => ({
        keys: (
          await keys.find({ where: { issuer }, order: { ring: 'ASC', generation: 'ASC' } })
        ).map((key) => checkSerializedKey(withoutIssuer(key), `Row ${key.id} of table ring_key`)),
        events: (await events.find({ where: { issuer }, order: { at: 'ASC', id: 'ASC' } })).map(
          withoutIssuer,
        ),
      })),
    addKey: (key) =>
      attemptIdempotent(`add a key to ring ${key.ring}`, async () => {
        const { ring, generation } = key
        await durably((manager) => insertNew(manager, keySchema, { ...key, issuer }))
        // A separate statement, so that it sees the first writer under any isolation level.
        const row = await keys.findOneBy({ issuer, ring, generation })
        if (!row) throw new KidTaken(key.id)
        return withoutIssuer(row)
      }),
    addTogether: (records) =>
      attemptIdempotent('add keys together', () =>
        addTogether(dataSource, { issuer, ...records }, (work) =>
          dataSource.transaction(async (manager) => {
            if (dataSource.options.type === 'postgres') {
              await manager.query(`SELECT ${waitForDisk('transaction')}`)
            }
            await work(manager)
          }),
        ),
      ),
    eraseKey: (key) =>
      attemptIdempotent(`erase the private half of key ${key.id}`, async () => {
        await durably((manager) =>
          manager.update(keySchema, { issuer, id: key.id }, { data: key.data }),
        )
        await forget(dataSource)
      }),
    removeKey: (id) =>
      attemptIdempotent(`delete key ${id}`, async () => {
        await durably((manager) => manager.delete(keySchema, { issuer, id }))
        await forget(dataSource)
      }),
    addEvents: (added) =>
      attemptIdempotent('record an event of the key ring', async () => {
        if (added.length === 0) return
        const rows = added.map((event) => ({ ...event, issuer }))
        await durably((manager) => manager.upsert(keyEventSchema, rows, ['issuer', 'id']))
      }),
  }
}

/** Writes back and truncates SQLite's log, which otherwise still has the overwritten content. */
async function forget(dataSource: DataSource): Promise<void> {
  if (dataSource.options.type === 'better-sqlite3') {
    await dataSource.query('PRAGMA wal_checkpoint(TRUNCATE)')
  }
}
