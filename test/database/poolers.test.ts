import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import pg from 'pg'
import { service } from '../../lab/services.ts'
import { systemClock } from '../../src/clock.ts'
import { serializedKey } from '../../src/conformance/records.ts'
import { openDatabase } from '../../src/database/database.ts'
import { migrate } from '../../src/database/migrate.ts'
import { createSqlKeyStore } from '../../src/database/sql-key-store.ts'
import { openArtifactsOf } from '../support/artifacts.ts'
import { testAuthentic } from '../support/authentic.ts'
import { settingsOf } from '../support/databases.ts'
import { skipPgbouncer, startPgbouncer } from '../support/pgbouncer.ts'

const postgres = await service('postgres')

describe('PgBouncer before PostgreSQL', { skip: postgres.skip ?? skipPgbouncer }, () => {
  it('in session mode, as it comes, works', async () => {
    await using database = await postgres.create()
    await using pooler = await startPgbouncer(database.url)
    const settings = settingsOf(pooler)
    const dataSource = await openDatabase(settings)
    await migrate(dataSource)
    const artifacts = await openArtifactsOf(
      { database: settings },
      { authentic: testAuthentic(), clock: systemClock },
    )
    const tokens = artifacts.adapter('AccessToken')
    await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        await tokens.upsert(`t${i}`, { jti: `t${i}` }, 60)
        assert.equal((await tokens.find(`t${i}`))?.jti, `t${i}`)
      }),
    )
    const keys = createSqlKeyStore(dataSource)
    await keys.addKey(serializedKey(1))
    assert.equal((await keys.load()).keys.length, 1)
    await artifacts.close()
    await dataSource.destroy()
  })

  for (const [mode, more] of [
    ['transaction', []],
    ['transaction', ['ignore_startup_parameters = extra_float_digits, statement_timeout, options']],
    ['transaction', ['server_round_robin = 1', 'min_pool_size = 3']],
    ['transaction', ['default_pool_size = 1']],
    ['statement', []],
  ] as const) {
    it(`in ${mode} mode is refused in words, and nobody gets our settings (${more})`, async () => {
      await using database = await postgres.create()
      const direct = await openDatabase(settingsOf(database))
      await migrate(direct)
      await direct.destroy()
      await using pooler = await startPgbouncer(database.url, [`pool_mode = ${mode}`, ...more])
      const settings = settingsOf(pooler)
      // What others get of it.
      const other = new pg.Client({ connectionString: pooler.url })
      await other.connect()
      const settingsInEffect = async () => {
        const { rows } = await other.query(
          `SELECT name, setting FROM pg_settings WHERE name IN
           ('statement_timeout', 'synchronous_commit', 'enable_seqscan') ORDER BY name`,
        )
        return rows
      }
      const before = await settingsInEffect()
      await assert.rejects(
        openDatabase(settings),
        /session mode \(PgBouncer: pool_mode = session\)/,
      )
      const artifacts = await openArtifactsOf(
        { database: settings },
        { authentic: testAuthentic(), clock: systemClock },
      )
      await assert.rejects(artifacts.adapter('AccessToken').find('t'), /session mode/)
      for (let round = 0; round < 5; round++) assert.deepEqual(await settingsInEffect(), before)
      await artifacts.close()
      await other.end()
    })
  }

  it('that refuses a connection is quoted', async () => {
    await using database = await postgres.create()
    await using pooler = await startPgbouncer(database.url)
    const url = `${pooler.url}?options=-c%20search_path%3Dpublic`
    await assert.rejects(
      openDatabase(settingsOf({ url })),
      /unsupported startup parameter: options/,
    )
  })
})

describe('commits of PostgreSQL', { skip: postgres.skip }, () => {
  it('of keys and revocations wait although the server says that none has to', async () => {
    await using database = await postgres.create()
    const name = new URL(database.url).pathname.slice(1)
    await postgres.administer(`ALTER DATABASE ${name} SET synchronous_commit = off`)
    const dataSource = await openDatabase(settingsOf(database))
    await migrate(dataSource)
    // Tells in which mode each row was written.
    await dataSource.query(`CREATE TABLE witness (mode text)`)
    await dataSource.query(`CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN INSERT INTO witness VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$`)
    for (const table of ['ring_key', 'key_event']) {
      await dataSource.query(`CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON ${table}
        EXECUTE FUNCTION note()`)
    }
    const modes = async () => {
      const rows: { mode: string }[] = await dataSource.query('DELETE FROM witness RETURNING mode')
      // TypeORM answers rows and their number.
      return [...new Set((rows.flat() as { mode?: string }[]).map((row) => row.mode))].filter(
        Boolean,
      )
    }
    const keys = createSqlKeyStore(dataSource)
    const key = serializedKey(1)
    const write = async () => {
      await keys.addKey(key)
      await keys.eraseKey({ ...key, data: 'erased' })
      await keys.addEvents([{ id: 'e', ring: key.ring, type: 'revoke', at: 1, data: 'd' }])
      await keys.removeKey(key.id)
    }
    await write()
    assert.deepEqual(await modes(), ['on'])
    // Whatever became of the session meanwhile.
    await dataSource.query(`ALTER DATABASE ${name} SET synchronous_commit = remote_apply`)
    const other = await openDatabase(settingsOf(database))
    await createSqlKeyStore(other).addKey(key)
    assert.deepEqual(await modes(), ['remote_apply'])
    await other.destroy()
    await dataSource.destroy()
  })

  for (const [durability, mode] of [
    ['full', 'on'],
    ['relaxed', 'off'],
  ] as const) {
    it(`of what expires are ${mode} where database.durability is ${durability}`, async () => {
      await using database = await postgres.create()
      const settings = { ...settingsOf(database), durability }
      const dataSource = await openDatabase(settings)
      await migrate(dataSource)
      await dataSource.query('CREATE TABLE witness (mode text)')
      await dataSource.query(`CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO witness VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$`)
      await dataSource.query('CREATE TRIGGER note AFTER INSERT ON artifact EXECUTE FUNCTION note()')
      const artifacts = await openArtifactsOf(
        { database: settings },
        { authentic: testAuthentic(), clock: systemClock },
      )
      await artifacts.adapter('AccessToken').upsert('t', { jti: 't' }, 60)
      assert.deepEqual(await dataSource.query('SELECT mode FROM witness'), [{ mode }])
      await artifacts.close()
      await dataSource.destroy()
    })
  }
})
