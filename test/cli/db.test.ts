import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { Config } from '../../src/config/schema.ts'
import { openDatabase } from '../../src/database/database.ts'
import { DATABASES } from '../support/databases.ts'
import { keyturnIn } from './keyturn.ts'

describe('db', () => {
  it('status fails while migrations are pending, migrate applies them', async () => {
    await using cli = await keyturnIn()
    const database = join(cli.path, 'keyturn.db')
    for (const end of ['-wal', '-shm', '']) await rm(`${database}${end}`, { force: true })
    assert.match((await cli.run(['db', 'status'])).err, /^There is no database at /)
    await writeFile(database, '')
    const before = await cli.run(['db', 'status'])
    assert.equal(before.status, 1)
    assert.match(before.out, /^MIGRATION +STATUS\nInitial\d+ +pending$/m)
    assert.match(before.err, /pending. Apply with: keyturn db migrate/)

    const { applied } = await cli.json<{ applied: string[] }>(['db', 'migrate'])
    assert.match(applied[0] ?? '', /^Initial/)
    const [status, again] = await Promise.all([
      cli.json<{ name: string; applied: boolean }[]>(['db', 'status']),
      cli.run(['db', 'migrate']),
    ])
    assert.ok(status.length > 0 && status.every((migration) => migration.applied))
    assert.equal(again.out, 'The database is up to date.\n')
  })

  it('a missing table of sessions and tokens is told without a stack', async () => {
    await using cli = await keyturnIn()
    const dataSource = await openDatabase(cli.config.database)
    await dataSource.query('DROP TABLE artifact')
    await dataSource.destroy()
    const { status, err } = await cli.run(['keys', 'list'])
    assert.equal(status, 1)
    assert.match(err, /^Cannot open sessions and tokens: a table is missing: .*artifact/)
    assert.doesNotMatch(err, /Unexpected error/)
  })

  it('status of a database that cannot be opened fails with its place and no stack', async () => {
    await using cli = await keyturnIn({ KEYTURN_DATABASE__URL: 'sqlite:/dev/null/keyturn.db' })
    const answer = await cli.run(['db', 'status'])
    assert.equal(answer.status, 1)
    assert.match(answer.err, /^There is no database at \/dev\/null\/keyturn\.db/)
    assert.doesNotMatch(answer.err, /\.ts:\d/)
  })

  for (const { name, skip, create } of DATABASES) {
    /** Changes the database of a deployment that was migrated. */
    const change = async ({ config }: { config: Config }, statement: string) => {
      const dataSource = await openDatabase(config.database)
      await dataSource.query(statement)
      await dataSource.destroy()
    }

    it(`on ${name}: a database that was restored only in part is told as such`, {
      skip,
    }, async () => {
      await using database = await create()
      await using cli = await keyturnIn({ KEYTURN_DATABASE__URL: database.url })
      assert.equal((await cli.run(['db', 'migrate'])).status, 0)
      await change(cli, 'DROP TABLE key_event')
      const lacking = await cli.run(['keys', 'list'])
      assert.equal(lacking.status, 1)
      assert.match(lacking.err, /^Cannot .*: a table is missing: .*only in part.*key_event/)
    })

    // On MariaDB a migration goes on where it was cut off.
    if (name !== 'MariaDB')
      it(`on ${name}: a database whose list of migrations was changed or lost is told as restored in part`, {
        skip,
      }, async () => {
        await using database = await create()
        await using cli = await keyturnIn({ KEYTURN_DATABASE__URL: database.url })
        assert.equal((await cli.run(['db', 'migrate'])).status, 0)
        for (const statement of [
          `UPDATE migration SET name = 'Other' WHERE name = 'Initial1700000000001'`,
          'DROP TABLE migration',
        ]) {
          await change(cli, statement)
          const { status, err } = await cli.run(['db', 'migrate'])
          assert.equal(status, 1)
          assert.match(err, /^Cannot migrate .*: what a migration was to make is there already/)
        }
      })

    if (name === 'SQLite') continue
    it(`on ${name}: only migrate creates a database, and a database with other tables counts as missing`, {
      skip,
    }, async () => {
      await using database = await create()
      await using cli = await keyturnIn({ KEYTURN_DATABASE__URL: database.url })
      for (const args of [
        ['db', 'status'],
        ['keys', 'list'],
        ['clients', 'list'],
      ]) {
        const answer = await cli.run(args)
        assert.equal(answer.status, 1)
        assert.match(answer.err, /^The database \w+:\/\/[^@]+\/keyturn_test_\w+ .* has no tables/)
      }
      const { applied } = await cli.json<{ applied: string[] }>(['db', 'migrate'])
      assert.match(applied[0] ?? '', /^Initial/)
      assert.equal((await cli.run(['db', 'status'])).status, 0)
      assert.equal((await cli.run(['keys', 'list'])).status, 0)
    })
  }
})
