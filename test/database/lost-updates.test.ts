import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { authenticateAnew } from '../../src/database/authenticate-anew.ts'
import { createSqlAccounts } from '../../src/database/sql-accounts.ts'
import { createClientStore } from '../../src/database/sql-clients.ts'
import { testAuthentic, testSecret } from '../support/authentic.ts'
import { DATABASES, openMigrated } from '../support/databases.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createAccount } from '../support/memory-accounts.ts'

const CHANGES = 20
const PEOPLE = 10

for (const database of DATABASES) {
  describe(`what somebody else writes meanwhile on ${database.name}`, {
    skip: database.skip,
  }, () => {
    it('stays: a client of an operator, who took the name of one that left the configuration', async () => {
      await using empty = await database.create()
      await using opened = await openMigrated(empty)
      const { dataSource } = opened
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
    })

    it('is authenticated as a whole or not at all when everybody is authenticated anew', async () => {
      await using empty = await database.create()
      await using here = await openMigrated(empty)
      await using elsewhere = await openMigrated(empty)
      const { dataSource } = here
      const [before, after] = [randomBytes(32), randomBytes(32)]
      const accounts = createSqlAccounts(elsewhere.dataSource, testAuthentic({ secret: before }))
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
    })
  })
}
