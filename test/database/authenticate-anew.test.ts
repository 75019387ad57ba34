import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { compareSecret } from '../../src/clients/client-secret.ts'
import { authenticateAnew } from '../../src/database/authenticate-anew.ts'
import { createSqlAccounts, createSqlConsents } from '../../src/database/sql-accounts.ts'
import { createSqlAudit } from '../../src/database/sql-audit.ts'
import { createClientStore } from '../../src/database/sql-clients.ts'
import { testAuthentic, testSecret } from '../support/authentic.ts'
import { createMigrated, DATABASES, openMigrated } from '../support/databases.ts'
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

    it('is given to no row that nothing could read, and no such row keeps it from the others', async () => {
      await using place = await database.create()
      await using migrated = await openMigrated(place)
      const { dataSource } = migrated
      const artifacts = { forget: async () => {}, forgetClients: () => {} }
      const secret = randomBytes(32)
      const authentic = testAuthentic({ secret })
      const options = { dataSource, artifacts, authentic, clock: createFakeClock() }
      const accounts = createSqlAccounts(dataSource, authentic)
      const consents = createSqlConsents(dataSource, authentic)
      const clients = createClientStore(options)
      const audit = createSqlAudit(dataSource, authentic)
      const by = { actor: 'bob', reason: 'new', action: 'account_added', at: 1 } as const
      const [ada, eve] = ['ada', 'eve'].map((username) => createAccount({ username }))
      assert.ok(ada && eve)
      for (const account of [ada, eve]) await accounts.add(account, by)
      const wishes = { oidcScopes: ['openid'], oidcClaims: [], resourceScopes: {}, updatedAt: 1 }
      for (const clientId of ['a', 'b', 'c', 'd', 'shop']) {
        await rememberConsent(consents, { accountId: ada.id, clientId, ...wishes })
        await clients.add({ client_id: clientId })
      }

      const edit = (statement: string, ...values: readonly string[]) =>
        dataSource.query(statement.replace('?', dataSource.driver.createParameter('value', 0)), [
          ...values,
        ])
      await edit("UPDATE account SET claims = ? WHERE username = 'eve'", '{')
      await edit('UPDATE audit_record SET changed = ? WHERE number = 1', 'no JSON')
      for (const [id, metadata] of [
        ['a', '['],
        ['b', '5'],
        ['c', '{"client_secret":5}'],
        ['d', '{"previous_client_secrets":{}}'],
      ]) {
        await edit(`UPDATE client SET metadata = ? WHERE id = '${id}'`, metadata ?? '')
      }
      await edit("UPDATE consent SET oidc_scopes = ? WHERE client_id = 'a'", 'no JSON')
      await edit("UPDATE consent SET oidc_scopes = ? WHERE client_id = 'b'", '"openid"')
      await edit("UPDATE consent SET oidc_claims = ? WHERE client_id = 'c'", '[1]')
      await edit("UPDATE consent SET resource_scopes = ? WHERE client_id = 'd'", '{"a":5}')

      const done = await authenticateAnew(dataSource, testSecret(secret))
      assert.deepEqual(done, { accounts: 1, consents: 1, clients: 1, lostSecrets: [] })
      assert.deepEqual(await accounts.list(), [ada])
      assert.deepEqual(await clients.forged(), ['a', 'b', 'c', 'd'])
      for (const clientId of ['a', 'b', 'c', 'd']) {
        assert.equal(await consents.find(ada.id, clientId), undefined)
      }
      assert.ok(await consents.find(ada.id, 'shop'))
      assert.deepEqual(
        (await audit.list()).map(({ isForged }) => isForged),
        [true, false],
      )
    })
  })
}
