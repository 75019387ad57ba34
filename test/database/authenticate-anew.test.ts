import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { compareSecret } from '../../src/clients/client-secret.ts'
import { authenticateAnew } from '../../src/database/authenticate-anew.ts'
import { createSqlAccounts, createSqlConsents } from '../../src/database/sql-accounts.ts'
import { createSqlAudit } from '../../src/database/sql-audit.ts'
import { createClientStore } from '../../src/database/sql-clients.ts'
import { testAuthentic, testSecret } from '../support/authentic.ts'
import { createMigrated, DATABASES } from '../support/databases.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createAccount, rememberConsent } from '../support/memory-accounts.ts'

const LONG = 'a secret that is longer than thirty-two characters'

for (const database of DATABASES) {
  describe(`another secret of the deployment on ${database.name}`, { skip: database.skip }, () => {
    it('leaves passwords, consents and hashed client secrets good, and names those that are lost', async () => {
      const { dataSource, close } = await createMigrated(database)
      const artifacts = { forget: async () => {}, forgetClients: () => {} }
      const openWith = (secret: Buffer) => {
        const authentic = testAuthentic({ secret })
        const options = { dataSource, artifacts, authentic, clock: createFakeClock() }
        return {
          accounts: createSqlAccounts(dataSource, authentic),
          audit: createSqlAudit(dataSource, authentic),
          consents: createSqlConsents(dataSource, authentic),
          clients: createClientStore(options),
        }
      }
      const before = openWith(randomBytes(32))
      const secret = randomBytes(32)
      const after = openWith(secret)

      const ada = createAccount({
        claims: { name: 'Ada', email: 'a@example.com', email_verified: false, locale: 'en' },
      })
      const consent = {
        accountId: ada.id,
        clientId: 'hashed',
        oidcScopes: ['openid'],
        oidcClaims: [],
        resourceScopes: { 'https://api.example': ['read'] },
        updatedAt: 1,
      }
      const by = { actor: 'bob', reason: 'new', action: 'account_added', at: 1 } as const
      await before.accounts.add(ada, by)
      await rememberConsent(before.consents, consent)
      const jwt = { token_endpoint_auth_method: 'client_secret_jwt' }
      await before.clients.add({ client_id: 'hashed', client_secret: LONG })
      await before.clients.add({ client_id: 'jwt', client_secret: LONG, ...jwt })
      await before.clients.add({ client_id: 'short', client_secret: 'short' })
      await before.clients.add({ client_id: 'public', token_endpoint_auth_method: 'none' })
      assert.equal(await after.accounts.findById(ada.id), undefined)
      assert.deepEqual(await after.accounts.forged(), [{ id: ada.id, username: ada.username }])
      assert.deepEqual(await after.clients.forged(), ['hashed', 'jwt', 'public', 'short'])
      const areForged = async () => (await after.audit.list()).map(({ isForged }) => isForged)
      assert.deepEqual(await areForged(), [true])

      for (const lostSecrets of [
        ['jwt', 'short'],
        ['jwt', 'short'],
      ]) {
        const done = await authenticateAnew(dataSource, testSecret(secret))
        assert.deepEqual(
          { ...done, lostSecrets: done.lostSecrets.toSorted() },
          { accounts: 1, consents: 1, clients: 4, lostSecrets },
        )
      }
      assert.deepEqual(await after.accounts.findByUsername('ada'), ada)
      assert.deepEqual(await after.consents.find(ada.id, 'hashed'), consent)
      assert.deepEqual(await after.clients.forged(), [])
      assert.deepEqual(await areForged(), [false])
      const secretOf = async (id: string) =>
        (await after.clients.find(id))?.metadata.client_secret as string | undefined
      assert.equal(compareSecret(await secretOf('hashed'), LONG), true)
      assert.equal(await secretOf('public'), undefined)
      for (const [id, wrong] of [
        ['jwt', LONG],
        ['short', 'short'],
        ['short', ''],
      ] as const) {
        assert.equal(compareSecret(await secretOf(id), wrong), false)
      }
      assert.equal(await before.accounts.findById(ada.id), undefined)
      await close()
    })
  })
}
