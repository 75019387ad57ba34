import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { describe, it } from 'node:test'
import type { DataSource } from 'typeorm'
import { migrations, openDatabase } from '../../src/store/database.ts'
import { migrate } from '../../src/store/migrate.ts'
import { createSqlAccounts } from '../../src/store/sql-accounts.ts'
import { testAuthentic, testSecret } from '../support/authentic.ts'
import { DATABASES, openAsBefore, settingsOf } from '../support/databases.ts'
import { createAccount } from '../support/memory-accounts.ts'

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
  const { key } = testSecret()
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

      const dataSource = await openDatabase(settingsOf(empty))
      await migrate(dataSource)
      const accounts = createSqlAccounts(dataSource, testAuthentic())
      const [ada, bob] = await accounts.list()
      assert.deepEqual(ada?.claims, { name: 'Ada', email: 'a@b.example' })
      assert.deepEqual(bob?.claims, {})
      assert.equal((await accounts.findByUsername('ADA'))?.id, 'id of ada')
      assert.equal(bob?.isAdministrator, true)
      await accounts.change('id of bob', () => ({ claims: { locale: 'en' } }))
      assert.deepEqual((await accounts.findById('id of bob'))?.claims, { locale: 'en' })
      await dataSource.destroy()
    })

    it('cannot be given claims, nor can they lose them, by who merely writes the database', async () => {
      await using empty = await database.create()
      const dataSource = await openDatabase(settingsOf(empty))
      await migrate(dataSource)
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
      await dataSource.destroy()
    })
  })
}
