import { after, before, describe } from 'node:test'
import { testStores } from '../conformance/stores.ts'
import { createMigrated, DATABASES, type MigratedDatabase } from '../support/databases.ts'

for (const database of DATABASES) {
  describe(`the stores on ${database.name}`, { skip: database.skip }, () => {
    let migrated: MigratedDatabase
    before(async () => {
      migrated = await createMigrated(database)
    })
    after(() => migrated?.close())

    testStores(database.name, () => migrated)
  })
}
