import { after, before, describe } from 'node:test'
import { createClientStore } from '../../src/store/clients.ts'
import { openDatabase } from '../../src/store/database.ts'
import { openArtifacts } from '../../src/store/open-artifacts.ts'
import { createSqlAccounts, createSqlConsents } from '../../src/store/sql-accounts.ts'
import { createSqlKeyStore } from '../../src/store/sql-key-store.ts'
import { createSqlNodes } from '../../src/store/sql-nodes.ts'
import { testAccountStore } from '../conformance/account-store.ts'
import { testArtifacts } from '../conformance/artifacts.ts'
import { testClientStore } from '../conformance/client-store.ts'
import { testConsentStore } from '../conformance/consent-store.ts'
import { testKeyStore } from '../conformance/key-store.ts'
import { testNodeStore } from '../conformance/node-store.ts'
import {
  createMigrated,
  DATABASES,
  empty,
  type MigratedDatabase,
  settingsOf,
} from '../support/databases.ts'
import { createFakeClock } from '../support/fake-clock.ts'

/** Every contract on every database: one database for all tests, emptied before each. */

for (const database of DATABASES) {
  const { name, skip } = database
  describe(`the stores on ${name}`, { skip }, () => {
    let migrated: MigratedDatabase
    before(async () => {
      migrated = await createMigrated(database)
    })
    after(() => migrated?.close())

    testKeyStore(name, async () => {
      const { dataSource } = migrated
      await empty(dataSource)
      const second = await openDatabase(settingsOf(migrated))
      return {
        store: createSqlKeyStore(dataSource),
        other: createSqlKeyStore(second),
        close: () => second.destroy(),
      }
    })

    const openAccounts = async () => {
      const { dataSource } = migrated
      await empty(dataSource)
      return { accounts: createSqlAccounts(dataSource), consents: createSqlConsents(dataSource) }
    }
    testAccountStore(name, openAccounts)
    testConsentStore(name, openAccounts)

    testNodeStore(
      name,
      async () => {
        const { dataSource } = migrated
        await empty(dataSource)
        const second = await openDatabase(settingsOf(migrated))
        return {
          store: createSqlNodes(dataSource),
          other: createSqlNodes(second),
          close: () => second.destroy(),
        }
      },
      { hasClock: name !== 'SQLite' },
    )

    const openTwice = async () => {
      const { dataSource } = migrated
      await empty(dataSource)
      const clock = createFakeClock()
      const settings = { database: settingsOf(migrated) }
      const artifacts = await openArtifacts(settings, clock)
      const other = await openArtifacts(settings, clock)
      return {
        artifacts,
        other,
        clock,
        pass: clock.pass,
        dump: async () => JSON.stringify(await dataSource.query('SELECT * FROM artifact')),
        close: async () => {
          await artifacts.close()
          await other.close()
        },
      }
    }
    testArtifacts(name, openTwice)
    testClientStore(name, async () => {
      const opened = await openTwice()
      const { dataSource } = migrated
      return {
        ...opened,
        clients: createClientStore({ dataSource, ...opened }),
        consents: createSqlConsents(dataSource),
      }
    })
  })
}
