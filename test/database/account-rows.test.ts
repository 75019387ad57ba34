import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { describe, it } from 'node:test'
import type { DataSource } from 'typeorm'
import { nameKey } from '../../src/accounts/skeleton.ts'
import { migrations } from '../../src/database/database.ts'
import { createKnownIssuers } from '../../src/database/known-issuers.ts'
import { migrate } from '../../src/database/migrate.ts'
import { createSqlAccounts } from '../../src/database/sql-accounts.ts'
import { testAuthentic, testSecret } from '../support/authentic.ts'
import { DATABASES, openAsBefore, openMigrated } from '../support/databases.ts'
import { createAccount } from '../support/memory-accounts.ts'

const ISSUER = 'https://issuer.example'

/** An account as the first version wrote it, with the MAC that it made. */
function rowOfBefore(
  username: string,
  more: { readonly name?: string; readonly email?: string } = {},
) {
  const { name = null, email = null } = more
  const values = [
    `id of ${username}`,
    username,
    'hash',
    name,
    email,
    false,
    true,
    false,
    true,
    7,
    8,
  ]
  const { key } = testSecret().of(ISSUER)
  const mac = createHmac('sha256', key('accounts'))
    .update(JSON.stringify(['account', ...values]))
    .digest('base64url')
  return [...values, mac]
}

const COLUMNS = [
  ...['id', 'username', 'password_hash', 'name', 'email', 'email_verified', 'is_administrator'],
  ...['is_disabled', 'must_change_password', 'created_at', 'updated_at', 'mac'],
]

async function insert(dataSource: DataSource, row: readonly unknown[]): Promise<void> {
  const { driver } = dataSource
  const places = row.map((_, i) => driver.createParameter('p', i)).join(', ')
  // better-sqlite3 takes no booleans.
  const isSqlite = driver.options.type === 'better-sqlite3'
  const values = row.map((value) =>
    isSqlite && typeof value === 'boolean' ? Number(value) : value,
  )
  await dataSource.query(`INSERT INTO account (${COLUMNS.join(', ')}) VALUES (${places})`, [
    ...values,
  ])
}

for (const database of DATABASES) {
  describe(`accounts of the version before on ${database.name}`, { skip: database.skip }, () => {
    it('are found after the migration, with what was known of them and no more', async () => {
      await using empty = await database.create()
      const before = await openAsBefore(empty, migrations.slice(0, 2))
      await migrate(before)
      await insert(before, rowOfBefore('ada', { name: 'Ada', email: 'a@b.example' }))
      await insert(before, rowOfBefore('bob'))
      await before.destroy()

      await using opened = await openMigrated(empty)
      const { dataSource } = opened
      await createKnownIssuers(dataSource).adopt(ISSUER)
      const accounts = createSqlAccounts(dataSource, testAuthentic())
      const [ada, bob] = await accounts.list()
      assert.deepEqual(ada?.claims, { name: 'Ada', email: 'a@b.example' })
      assert.deepEqual(bob?.claims, {})
      assert.equal((await accounts.findByUsername('ADA'))?.id, 'id of ada')
      assert.equal(bob?.isAdministrator, true)
      await accounts.change('id of bob', () => ({ claims: { locale: 'en' } }))
      assert.deepEqual((await accounts.findById('id of bob'))?.claims, { locale: 'en' })
    })

    it('sign in under their names, however these are typed, and whatever no new name may be', async () => {
      await using empty = await database.create()
      const before = await openAsBefore(empty, migrations.slice(0, 2))
      await migrate(before)
      const names = [
        'josé',
        'jose\u0301',
        'ｅｖｅ',
        'аda',
        'ada',
        'zero\u200bwidth',
        'admin1',
        'adminl',
      ]
      for (const name of names) await insert(before, rowOfBefore(name))
      await before.destroy()

      await using opened = await openMigrated(empty)
      const { dataSource } = opened
      await createKnownIssuers(dataSource).adopt(ISSUER)
      const accounts = createSqlAccounts(dataSource, testAuthentic())
      const idOf = async (typed: string) => (await accounts.findByUsername(typed))?.id
      // Twins are told apart by what is typed, as before.
      for (const name of names) assert.equal(await idOf(name), `id of ${name}`, name)
      assert.equal(await idOf('EVE'), 'id of ｅｖｅ')
      assert.equal(await idOf('JOSÉ'), 'id of josé')
      assert.equal(await idOf('JOSE\u0301'), 'id of jose\u0301')
      assert.equal(await idOf('ＪＯＳé'), 'id of jose\u0301', 'the first of those that are as old')

      const add = (username: string) => accounts.add(createAccount({ username }))
      for (const twin of ['josé', 'eve', 'аdа', 'admin1', 'zerowidth']) {
        assert.equal(await add(twin), false, twin)
      }
      // While one of two with one look is there, nobody else gets it.
      for (const name of ['admin1', 'josé']) await accounts.remove(`id of ${name}`)
      for (const twin of ['admin1', 'josé']) assert.equal(await add(twin), false, twin)
      for (const name of ['adminl', 'jose\u0301']) await accounts.remove(`id of ${name}`)
      for (const twin of ['admin1', 'josé']) assert.equal(await add(twin), true, twin)
    })

    it('are not added later by a node of that version, which knows of no issuers', async () => {
      await using empty = await database.create()
      await using opened = await openMigrated(empty)
      await assert.rejects(insert(opened.dataSource, rowOfBefore('ada')), /issuer/)
    })

    it('are not led to by the name of another one, by who merely writes the database', async () => {
      await using empty = await database.create()
      await using opened = await openMigrated(empty)
      const { dataSource } = opened
      const accounts = createSqlAccounts(dataSource, testAuthentic())
      const [ada, eve] = ['adá', 'eve'].map((username) => createAccount({ username }))
      assert.ok(ada && eve)
      for (const account of [ada, eve]) await accounts.add(account)
      await dataSource.query(
        `UPDATE account SET name_key = '${nameKey('adá')}' WHERE id = '${eve.id}'`,
      )
      for (const typed of ['ADÁ', 'ada\u0301']) {
        assert.equal((await accounts.findByUsername(typed))?.id, ada.id, typed)
      }
      await accounts.remove(ada.id)
      assert.equal(await accounts.findByUsername('ADÁ'), undefined)
      assert.equal((await accounts.findByUsername('eve'))?.id, eve.id)
    })

    it('cannot be given claims, nor can they lose them, by who merely writes the database', async () => {
      await using empty = await database.create()
      await using opened = await openMigrated(empty)
      const { dataSource } = opened
      const accounts = createSqlAccounts(dataSource, testAuthentic())
      const plain = createAccount({ username: 'plain' })
      const known = createAccount({ username: 'known', claims: { locale: 'en' } })
      for (const account of [plain, known]) await accounts.add(account)
      const write = (claims: string, id: string) =>
        dataSource.query(`UPDATE account SET claims = ${claims} WHERE id = '${id}'`)
      for (const claims of ["'{}'", `'{"groups":["root"]}'`, "''"]) {
        await write(claims, plain.id)
        assert.equal(await accounts.findById(plain.id), undefined, claims)
      }
      await write('NULL', plain.id)
      assert.ok(await accounts.findById(plain.id))
      for (const claims of ['NULL', `'{"locale":"fr"}'`]) {
        await write(claims, known.id)
        assert.equal(await accounts.findById(known.id), undefined, claims)
      }
    })
  })
}
