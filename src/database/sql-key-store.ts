import type { DataSource, EntityManager } from 'typeorm'
import { KidTaken } from '../errors.ts'
import type { KeyStore } from '../ring/key-store.ts'
import { checkSerializedKey } from '../ring/records.ts'
import { addTogether } from './add-together.ts'
import { attemptRead, attemptTwice } from './failures.ts'
import { insertNew } from './insert-new.ts'
import { waitForDisk } from './postgres-session.ts'
import { keyEventSchema, keySchema, withoutIssuer } from './tables.ts'

/**
 * A KeyStore of one issuer in the tables `ring_key` and `key_event`. All that it does ends the same when it is done
 * twice, so a connection that breaks meanwhile costs some time only.
 *
 * An erased or deleted key is gone from SQLite's file at once. PostgreSQL keeps the old version of a
 * row until autovacuum has passed and its pages are written again, InnoDB until purge has, and
 * backups and logs for replicas keep it longer. What lingers there is sealed under the
 * key-encryption key like the row itself was.
 * @param issuer '' for what belongs to none: the secret of the deployment
 */
export function createSqlKeyStore(dataSource: DataSource, issuer = ''): KeyStore {
  const keys = dataSource.getRepository(keySchema)
  const events = dataSource.getRepository(keyEventSchema)
  /** Waits for the disk, and a synchronous standby, whatever the session or the server says. */
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
      attemptTwice(`add a key to ring ${key.ring}`, async () => {
        const { ring, generation } = key
        await durably((manager) => insertNew(manager, keySchema, { ...key, issuer }))
        // A statement of its own, so it sees whoever was first in any isolation.
        const row = await keys.findOneBy({ issuer, ring, generation })
        if (!row) throw new KidTaken(key.id)
        return withoutIssuer(row)
      }),
    addTogether: (records) =>
      attemptTwice('add keys together', () =>
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
      attemptTwice(`erase the private half of key ${key.id}`, async () => {
        await durably((manager) =>
          manager.update(keySchema, { issuer, id: key.id }, { data: key.data }),
        )
        await forget(dataSource)
      }),
    removeKey: (id) =>
      attemptTwice(`delete key ${id}`, async () => {
        await durably((manager) => manager.delete(keySchema, { issuer, id }))
        await forget(dataSource)
      }),
    addEvents: (added) =>
      attemptTwice('record an event of the key ring', async () => {
        if (added.length === 0) return
        const rows = added.map((event) => ({ ...event, issuer }))
        await durably((manager) => manager.upsert(keyEventSchema, rows, ['issuer', 'id']))
      }),
  }
}

/** What was overwritten still stands in SQLite's log until that is written back and cut. */
async function forget(dataSource: DataSource): Promise<void> {
  if (dataSource.options.type === 'better-sqlite3') {
    await dataSource.query('PRAGMA wal_checkpoint(TRUNCATE)')
  }
}
