import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type GaleraCluster, skipGalera, startGalera } from '../../lab/galera.ts'
import { systemClock } from '../../src/clock.ts'
import { serializedKey } from '../../src/conformance/records.ts'
import { migrations, openDatabase } from '../../src/database/database.ts'
import { galeraAdvice, timeoutAdvice } from '../../src/database/galera.ts'
import { migrate } from '../../src/database/migrate.ts'
import { createSqlKeyStore } from '../../src/database/sql-key-store.ts'
import { openArtifactsOf } from '../support/artifacts.ts'
import { testAuthentic } from '../support/authentic.ts'
import { until } from '../support/redis.ts'

/** Stores on a cluster of three nodes, each asked at another node than the one that was told. */
describe('a Galera cluster', { skip: skipGalera }, () => {
  let cluster: GaleraCluster
  before(async () => {
    cluster = await startGalera()
  })
  after(() => cluster?.[Symbol.asyncDispose]())

  const settingsAt = (place: number, database = 'keyturn', timeout = 5) => {
    const node = cluster.nodes[place % cluster.nodes.length]
    assert.ok(node)
    return { url: node.url().replace(/keyturn$/, database), connections: 4, timeout }
  }
  const openAll = () =>
    Promise.all(cluster.nodes.map((_, place) => openDatabase(settingsAt(place))))

  it('notes each migration once, whichever nodes try at once', async () => {
    for (let round = 0; round < 5; round++) {
      const name = `race${round}`
      await cluster.nodes[0]?.query(`CREATE DATABASE ${name}`)
      for (const node of cluster.nodes) {
        await until('each node has it', async () => {
          return (await node.query(`SHOW DATABASES LIKE '${name}'`)).length === 1
        })
      }
      const sources = await Promise.all(
        [0, 1, 2, 0].map((place) => openDatabase(settingsAt(place, name))),
      )
      await Promise.all(sources.map(migrate))
      const rows = await sources[0]?.query('SELECT name FROM migration')
      assert.equal(rows.length, migrations.length)
      assert.equal(new Set(rows.map((row: { name: string }) => row.name)).size, rows.length)
      for (const source of sources) {
        assert.deepEqual(await migrate(source), [])
        await source.destroy()
      }
    }
  })

  it('that noted a migration twice before notes it once again', async () => {
    await cluster.nodes[0]?.query('CREATE DATABASE twice')
    const source = await openDatabase(settingsAt(0, 'twice'))
    await source.query(
      `CREATE TABLE migration (id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
         timestamp bigint NOT NULL, name varchar(255) NOT NULL)`,
    )
    const [first] = source.migrations
    for (let times = 0; times < 2; times++) {
      await source.query('INSERT INTO migration (timestamp, name) VALUES (?, ?)', [
        1700000000001,
        first?.name,
      ])
    }
    // Without the tables of that one, those that follow may not be possible.
    await migrate(source).catch(() => {})
    const rows: { n: string }[] = await source.query(
      'SELECT count(*) AS n FROM migration GROUP BY name',
    )
    for (const { n } of rows) assert.equal(Number(n), 1)
    await source.destroy()
  })

  it('knows at each node at once what another has confirmed', async () => {
    const sources = await openAll()
    await migrate(sources[0] ?? assert.fail())
    const stores = await Promise.all(
      cluster.nodes.map((_, place) =>
        openArtifactsOf(
          { database: settingsAt(place) },
          { authentic: testAuthentic(), clock: systemClock },
        ),
      ),
    )
    const at = (place: number, model: string) =>
      (stores[place % stores.length] ?? assert.fail()).adapter(model)
    const tasks = Array.from({ length: 600 }, (_, i) => async () => {
      const id = `code ${i}`
      await at(i, 'AuthorizationCode').upsert(id, { jti: id, grantId: `g${i}` }, 60)
      const found = await at(i + 1, 'AuthorizationCode').find(id)
      assert.equal(found?.jti, id, `${id} is not known at the next node`)
      await at(i + 2, 'AuthorizationCode').consume(id)
      assert.ok((await at(i, 'AuthorizationCode').find(id))?.consumed, `${id} is not consumed`)
      await assert.rejects(at(i + 1, 'AuthorizationCode').consume(id))
    })
    const workers = Array.from({ length: 8 }, async () => {
      for (let task = tasks.pop(); task; task = tasks.pop()) await task()
    })
    await Promise.all(workers)
    const keys = sources.map((source) => createSqlKeyStore(source))
    for (let generation = 1; generation <= 30; generation++) {
      await keys[generation % 3]?.addKey(serializedKey(generation))
      assert.equal((await keys[(generation + 1) % 3]?.load())?.keys.length, generation)
    }
    for (const store of stores) await store.close()
    for (const source of sources) await source.destroy()
  })

  it('is told apart from a single server, and by how long its nodes wait for a dead one', async () => {
    const source = await openDatabase(settingsAt(0))
    const [advice] = await galeraAdvice(source, 5)
    assert.match(
      advice ?? '',
      /commits wait for 6 s \(evs.suspect_timeout 5 s.*Set database.timeout to 10s/,
    )
    assert.deepEqual(await galeraAdvice(source, 10), [])
    const [{ waits }] = await source.query('SELECT @@wsrep_sync_wait AS waits')
    assert.equal(Number(waits), 3)
    await source.destroy()
    const other = await openDatabase({ ...settingsAt(0), consistency: 'node' })
    const [{ none }] = await other.query('SELECT @@wsrep_sync_wait AS none')
    assert.equal(Number(none), 0)
    await other.destroy()
  })

  it('without its quorum says so, and goes on by itself when it has it back', async () => {
    const [first, second, third] = cluster.nodes
    assert.ok(first && second && third)
    const source = await openDatabase(settingsAt(0, 'keyturn', 2))
    const keys = createSqlKeyStore(source)
    await second.kill()
    await third.kill()
    await until('the node knows that it is alone', async () => !(await first.isServing()))
    await assert.rejects(keys.load(), (error: Error & { code: string }) => {
      assert.equal(error.code, 'store_unavailable')
      assert.match(error.message, /has lost the others and so the quorum.*wsrep_cluster_status/)
      assert.match(error.message, /it says: WSREP has not yet prepared node/)
      return true
    })
    // Those that come back find the one that stayed.
    await first.query("SET GLOBAL wsrep_provider_options = 'pc.bootstrap=YES'")
    await second.start()
    await third.start()
    assert.ok((await keys.load()).keys.length > 0)
    await source.destroy()
  })
})

describe('what to set database.timeout to', () => {
  for (const [options, timeout, wanted] of [
    ['evs.suspect_timeout = PT5S; x = y;', 6, 10],
    ['evs.suspect_timeout = PT0.5S; x = y;', 2, 6],
    ['evs.suspect_timeout = PT0.1S;', 1, 6],
    ['evs.suspect_timeout = PT30S;', 30, 35],
    ['x = y;', 5, 10],
  ] as const) {
    it(`for ${options} and ${timeout} s, is long enough to need no more advice`, () => {
      assert.match(timeoutAdvice(options, timeout)[0] ?? '', new RegExp(`timeout to ${wanted}s`))
      assert.deepEqual(timeoutAdvice(options, wanted), [])
    })
  }

  it('is not said where there is no cluster', () => {
    assert.deepEqual(timeoutAdvice('', 1), [])
  })
})
