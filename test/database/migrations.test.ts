import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { DataSource, type MigrationInterface, type QueryRunner } from 'typeorm'
import { serializedKey } from '../../src/conformance/records.ts'
import { migrations, openDatabase } from '../../src/database/database.ts'
import { migrate, migrationStatus } from '../../src/database/migrate.ts'
import { Issuers0006 } from '../../src/database/migrations/0006-issuers.ts'
import { Kids0007 } from '../../src/database/migrations/0007-kids.ts'
import { ArtifactRows0008 } from '../../src/database/migrations/0008-artifact-rows.ts'
import { Audit0009 } from '../../src/database/migrations/0009-audit.ts'
import { createSqlAccounts } from '../../src/database/sql-accounts.ts'
import { createSqlAudit } from '../../src/database/sql-audit.ts'
import { createSqlKeyStore } from '../../src/database/sql-key-store.ts'
import { testAuthentic } from '../support/authentic.ts'
import {
  createMigrated,
  DATABASES,
  openAsBefore,
  settingsOf,
  type TestedDatabase,
} from '../support/databases.ts'
import { createAccount } from '../support/memory-accounts.ts'

const SOURCE = new URL('../../src/database/', import.meta.url).href

/** Opens a database and migrates it; writes how many migrations it applied. */
const MIGRATE = `
  const { openDatabase } = await import('${SOURCE}database.ts')
  const { migrate } = await import('${SOURCE}migrate.ts')
  const dataSource = await openDatabase({ url: process.argv[1], connections: 2, timeout: 5 })
  process.stdout.write(String((await migrate(dataSource)).length))
  await dataSource.destroy()`

/** Makes all tables of the first migration, says so, and never comes to the note that it is done. */
const HALF_WAY = `
  const { DataSource } = await import('typeorm')
  const { openDatabase, migrations: [First] } = await import('${SOURCE}database.ts')
  const { migrate } = await import('${SOURCE}migrate.ts')
  class HalfWay extends First {
    async up(runner) {
      await super.up(runner)
      process.stdout.write('made')
      await new Promise((resolve) => setTimeout(resolve, 60_000))
    }
  }
  const { options } = await openDatabase({ url: process.argv[1], connections: 2, timeout: 5 })
  await migrate(await new DataSource({ ...options, migrations: [HalfWay] }).initialize())`

function spawnMigration(url: string) {
  return spawn(process.execPath, ['--input-type=module', '-e', MIGRATE, url], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

/** What would have to be done to the database for it to be what the entities describe. */
async function differences(
  { name }: TestedDatabase,
  dataSource: DataSource,
): Promise<readonly string[]> {
  // TypeORM understands the defaults that MariaDB reports only where it is told that it is one.
  const isMariadb = name === 'MariaDB'
  const reader = isMariadb
    ? await new DataSource({ ...dataSource.options, type: 'mariadb' } as never).initialize()
    : dataSource
  const { upQueries } = await reader.driver.createSchemaBuilder().log()
  if (isMariadb) await reader.destroy()
  return upQueries.map(({ query }) => query)
}

for (const database of DATABASES) {
  describe(`the migrations on ${database.name}`, { skip: database.skip }, () => {
    it('make exactly the schema that the entities describe', async () => {
      const { dataSource, close } = await createMigrated(database)
      assert.deepEqual(await differences(database, dataSource), [])
      await close()
    })

    it('are reported as pending before and as applied after, and a second run does nothing', async () => {
      await using empty = await database.create()
      const dataSource = await openDatabase(settingsOf(empty))
      assert.ok((await migrationStatus(dataSource)).every((migration) => !migration.applied))
      assert.equal((await migrate(dataSource)).length, migrations.length)
      assert.deepEqual(await migrate(dataSource), [])
      assert.ok((await migrationStatus(dataSource)).every((migration) => migration.applied))
      await dataSource.destroy()
    })

    it('run once when several processes start on an empty database', async () => {
      await using empty = await database.create()
      const runs = Array.from({ length: 4 }, async () => {
        const child = spawnMigration(empty.url)
        let output = ''
        child.stdout.on('data', (chunk) => {
          output += chunk
        })
        const [status] = await once(child, 'close')
        assert.equal(status, 0)
        return Number(output)
      })
      const applied = (await Promise.all(runs)).sort()
      assert.equal(
        applied.reduce((sum, count) => sum + count),
        migrations.length,
        `${applied}`,
      )
    })

    it('go on where a process was killed half-way', async () => {
      await using empty = await database.create()
      const child = spawn(process.execPath, ['--input-type=module', '-e', HALF_WAY, empty.url], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      await once(child.stdout, 'data')
      child.kill('SIGKILL')
      await once(child, 'close')

      const dataSource = await openDatabase(settingsOf(empty))
      assert.ok((await migrationStatus(dataSource)).every((migration) => !migration.applied))
      assert.equal((await migrate(dataSource)).length, migrations.length)
      assert.deepEqual(await differences(database, dataSource), [])
      await dataSource.destroy()
    })

    it('of a newer version leave a database that this one works with', async () => {
      const { dataSource, url, close } = await createMigrated(database)
      class Newer implements MigrationInterface {
        readonly name = 'Newer4100000000000'
        async up(runner: QueryRunner): Promise<void> {
          await runner.query('CREATE TABLE newer (id varchar(10) PRIMARY KEY)')
          for (const table of [
            'ring_key',
            'account',
            'client',
            'consent',
            'artifact',
            'key_event',
            'audit_record',
          ]) {
            await runner.query(`ALTER TABLE ${table} ADD newer varchar(10)`)
          }
        }
        async down(): Promise<void> {}
      }
      const newer = await new DataSource({
        ...dataSource.options,
        migrations: [...migrations, Newer],
      }).initialize()
      assert.deepEqual(await migrate(newer), ['Newer4100000000000'])
      await newer.destroy()

      const older = await openDatabase(settingsOf({ url }))
      assert.deepEqual(await migrate(older), [])
      assert.ok((await migrationStatus(older)).every((migration) => migration.applied))
      const key = serializedKey(1)
      assert.deepEqual(await createSqlKeyStore(older).addKey(key), key)
      const ada = createAccount()
      assert.ok(await createSqlAccounts(older, testAuthentic()).add(ada))
      assert.deepEqual(await createSqlAccounts(older, testAuthentic()).findById(ada.id), ada)
      await older.destroy()
      await close()
    })
  })
}

for (const database of DATABASES) {
  describe(`the migration to records of orders on ${database.name}`, {
    skip: database.skip,
  }, () => {
    it('lets changes of people from before be recorded, and changes by nodes from before stay', async () => {
      await using empty = await database.create()
      const older = await openAsBefore(empty, migrations.slice(0, migrations.indexOf(Audit0009)))
      await migrate(older)
      const ada = createAccount()
      assert.ok(await createSqlAccounts(older, testAuthentic()).add(ada))

      const dataSource = await openDatabase(settingsOf(empty))
      assert.deepEqual(await migrate(dataSource), ['Audit1700000000009'])
      const accounts = createSqlAccounts(dataSource, testAuthentic())
      const audit = createSqlAudit(dataSource, testAuthentic())
      const by = { actor: 'bob', reason: 'left', action: 'account_disabled', at: 5 } as const
      assert.ok(await accounts.change(ada.id, () => ({ isDisabled: true }), by))
      const isAdministrator = { isAdministrator: true }
      await createSqlAccounts(older, testAuthentic()).change(ada.id, () => isAdministrator)
      const found = await accounts.findById(ada.id)
      assert.deepEqual([found?.isDisabled, found?.isAdministrator], [true, true])
      assert.deepEqual(
        (await audit.list()).map(({ action }) => action),
        ['account_disabled'],
      )
      await older.destroy()
      await dataSource.destroy()
    })
  })
}

describe('every migration after the first', () => {
  /** Statements that a version which does not know of them can live with. */
  const ADDS = [
    /^CREATE TABLE /,
    /^CREATE INDEX /,
    // Of a column of later, which older versions leave empty.
    /^CREATE UNIQUE INDEX account_skeleton_key ON account \(skeleton_key\)$/,
    /^ALTER TABLE \S+ ADD "?\w+"? (?!.*NOT NULL)/,
    // TypeORM's own way to add a column to SQLite copies the table, which no other version survives.
    /^(SELECT|PRAGMA) /,
  ]

  it('only adds tables, indices, and columns that may be empty', async () => {
    await using empty = await (DATABASES[0] as TestedDatabase).create()
    const dataSource = await openAsBefore(empty, migrations.slice(0, 1))
    await migrate(dataSource)
    // The first that divides the tables among issuers is from before any release, and no neighbour of it runs.
    // SQLite heeds no lengths of text, so there the second does nothing. The third leaves the columns as
    // they are.
    const others: readonly unknown[] = [Issuers0006, Kids0007, ArtifactRows0008]
    for (const Migration of migrations.slice(1).filter((each) => !others.includes(each))) {
      const runner = dataSource.createQueryRunner()
      const asked: string[] = []
      const query = runner.query.bind(runner)
      runner.query = (sql: string, ...more: []) => {
        asked.push(sql)
        return query(sql, ...more)
      }
      await new Migration().up(runner)
      assert.ok(asked.some((sql) => !/^(SELECT|PRAGMA) /.test(sql)))
      for (const sql of asked) {
        assert.ok(
          ADDS.some((pattern) => pattern.test(sql)),
          `${Migration.name}: ${sql}`,
        )
      }
      await runner.release()
    }
    await dataSource.destroy()
  })
})

describe('the migration to artifacts with rowids', () => {
  it('keeps every row, and its indices are used', async () => {
    await using empty = await (DATABASES[0] as TestedDatabase).create()
    const before = migrations.slice(0, migrations.indexOf(ArtifactRows0008))
    const older = await openAsBefore(empty, before)
    await migrate(older)
    const rows = Array.from({ length: 50 }, (_, i) => ({
      ...{ model: 'Session', id: `id-${(i * 7) % 50}`, payload: 'x'.repeat(i * 100) },
      ...{ grant_id: i % 2 ? `grant-${i}` : null, uid: i % 3 ? `uid-${i}` : null },
      ...{ user_code: null, account_id: 'ada', client_id: null, consumed_at: i % 5 ? null : i },
      expires_at: 1000 + i,
    }))
    for (const row of rows) {
      const names = Object.keys(row)
      const values = Object.values(row)
      const places = names.map(() => '?')
      await older.query(`INSERT INTO artifact (${names}) VALUES (${places})`, values)
    }
    await older.destroy()

    const dataSource = await openDatabase(settingsOf(empty))
    await migrate(dataSource)
    const kept = await dataSource.query('SELECT * FROM artifact ORDER BY expires_at')
    assert.deepEqual(kept, rows)
    const [{ sql }] = await dataSource.query(
      "SELECT sql FROM sqlite_master WHERE name = 'artifact'",
    )
    assert.doesNotMatch(sql, /without rowid/i)
    for (const condition of ["model = 'a' AND id = 'b'", "grant_id = 'a'", "uid = 'a'"]) {
      const [{ detail }] = await dataSource.query(
        `EXPLAIN QUERY PLAN SELECT payload FROM artifact WHERE ${condition}`,
      )
      assert.match(detail, /USING INDEX/, condition)
    }
    await dataSource.destroy()
  })
})
