import assert from 'node:assert/strict'
import { after, before, describe, it, mock } from 'node:test'
import type { DataSource } from 'typeorm'
import { CockroachDriver } from 'typeorm/driver/cockroachdb/CockroachDriver.js'
import { type FreshDatabase, service } from '../../lab/services.ts'
import { migrations, openDatabase } from '../../src/database/database.ts'
import { migrate } from '../../src/database/migrate.ts'
import { testStores } from '../conformance/stores.ts'
import { settingsOf } from '../support/databases.ts'

/**
 * What Keyturn asks of CockroachDB, asked of PostgreSQL: TypeORM's driver for it, its migrations
 * and all statements. What this cannot show is how CockroachDB itself differs: conflicts that it
 * asks to repeat, and its own planner.
 */

const { skip, create } = await service('postgres')

describe('the dialect of CockroachDB, on PostgreSQL', { skip }, () => {
  let database: FreshDatabase
  let dataSource: DataSource
  // Sets a session variable that PostgreSQL does not know, for changing types of columns.
  const setting = mock.method(CockroachDriver.prototype, 'afterConnect', async () => {})
  const settings = () => settingsOf({ url: database.url.replace(/^\w+:/, 'cockroachdb:') })

  before(async () => {
    database = await create()
    dataSource = await openDatabase(settings())
  })
  after(async () => {
    await dataSource?.destroy()
    await database?.drop()
    setting.mock.restore()
  })

  it('applies the migrations once, of several that try at once', async () => {
    assert.equal(dataSource.options.type, 'cockroachdb')
    const others = await Promise.all([1, 2, 3].map(() => openDatabase(settings())))
    const applied = await Promise.all([dataSource, ...others].map(migrate))
    assert.equal(applied.flat().length, migrations.length)
    for (const other of others) await other.destroy()
  })

  testStores('CockroachDB', () => ({ ...settings(), dataSource }))
})
