import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { authenticateAnew } from '../../src/store/authenticate-anew.ts'
import { createClientStore } from '../../src/store/clients.ts'
import { openDatabase } from '../../src/store/database.ts'
import { createSqlAccounts } from '../../src/store/sql-accounts.ts'
import { testAuthentic, testSecret } from '../support/authentic.ts'
import { createMigrated, DATABASES, settingsOf } from '../support/databases.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createAccount } from '../support/memory-accounts.ts'

const CHANGES = 20
const PEOPLE = 10

for (const database of DATABASES) {
  describe(`what somebody else writes meanwhile on ${database.name}`, {
    skip: database.skip,
  }, () => {
    it('stays: a client of an operator, who took the name of one that left the configuration', async () => {
      const { dataSource, close } = await createMigrated(database)
      const artifacts = { forget: async () => {}, forgetClients: () => {} }
      const common = { dataSource, authentic: testAuthentic(), clock: createFakeClock() }
      const operator = createClientStore({ ...common, artifacts })
      const forget = async () => {
        await operator.remove('shop')
        await operator.add({ client_id: 'shop', client_name: 'of an operator' })
      }
      const server = createClientStore({ ...common, artifacts: { ...artifacts, forget } })
      await server.replaceConfigured([{ client_id: 'shop' }])
      await server.replaceConfigured([])
      assert.equal((await operator.find('shop'))?.metadata.client_name, 'of an operator')
      await close()
    })

    it('is authenticated as a whole or not at all when everybody is authenticated anew', async () => {
      const { dataSource, url, close } = await createMigrated(database)
      const elsewhere = await openDatabase(settingsOf({ url }))
      const [before, after] = [randomBytes(32), randomBytes(32)]
      const accounts = createSqlAccounts(elsewhere, testAuthentic({ secret: before }))
      const people = Array.from({ length: PEOPLE }, (_, i) => createAccount({ username: `p${i}` }))
      for (const person of people) await accounts.add(person)
      const changeOften = async (id: string) => {
        for (let left = CHANGES; left > 0; left -= 1) {
          await accounts.change(id, ({ updatedAt }) => ({ updatedAt: updatedAt + 1 }))
        }
      }
      await Promise.all([
        ...people.map(({ id }) => changeOften(id)),
        authenticateAnew(dataSource, testSecret(after)),
      ])
      const found = await createSqlAccounts(dataSource, testAuthentic({ secret: after })).list()
      assert.equal(found.length, people.length)
      await elsewhere.destroy()
      await close()
    })
  })
}
