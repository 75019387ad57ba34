import assert from 'node:assert/strict'
import { it } from 'node:test'
import pg from 'pg'
import { startTestServer } from '../../lab/server.ts'
import { service } from '../../lab/services.ts'
import { openDatabase } from '../../src/database/database.ts'
import { until } from '../support/redis.ts'

const { skip, create, administer } = await service('postgres')

const ROTATION = {
  rotation: { refreshInterval: '1s', maxRingAge: '1h' },
}

it('a node on a database that became read-only is degraded, and not ready where others write', {
  skip,
}, async () => {
  await using database = await create()
  await using started = await startTestServer({
    settings: { ...ROTATION, database: { url: database.url, timeout: '2s' } },
  })
  const { server } = started
  const checks = async () => (await server.readiness()).checks
  assert.equal((await server.readiness()).ok, true)
  const name = new URL(database.url).pathname.slice(1)
  await administer(`ALTER DATABASE ${name} SET default_transaction_read_only = on`)
  await administer(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}'`,
  )
  await until('the node notices', async () => (await checks()).writes?.degraded === true)
  assert.match((await checks()).writes?.detail ?? '', /read-only, such as a replica/)
  const { database: ofDatabase } = await checks()
  assert.equal(ofDatabase?.degraded, true)
  // The old primary gets what others write on the new one.
  const other = new pg.Client({ connectionString: database.url })
  await other.connect()
  await other.query('SET default_transaction_read_only = off')
  await other.query(
    `INSERT INTO node SELECT 'other ' || split_part(id, ' ', 2), seen_at + 3600,
       replace(body, split_part(id, ' ', 1), 'other')::jsonb
       || jsonb_build_object('seenAt', seen_at + 3600) FROM node LIMIT 1`,
  )
  await until('the node sees that others write', async () => !(await server.readiness()).ok)
  assert.match((await checks()).writes?.detail ?? '', /Others can: other/)
  await other.query(`ALTER DATABASE ${name} SET default_transaction_read_only = off`)
  await other.end()
  await administer(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}'`,
  )
  await until('the node can write again', async () => (await server.readiness()).ok)
})

it('a node without its database is ready, unless readiness is strict', { skip }, async () => {
  for (const readiness of ['lenient', 'strict']) {
    await using database = await create()
    await using started = await startTestServer({
      settings: {
        ...ROTATION,
        management: { port: 0, readiness },
        database: { url: database.url, timeout: '1s' },
      },
    })
    const { server } = started
    await database.drop()
    await until('the node notices', async () => {
      const { database } = (await server.readiness()).checks
      return database?.degraded === true
    })
    await until('the answer is as it should be', async () => {
      return (await server.readiness()).ok === (readiness === 'lenient')
    })
    await until('the metrics say so', async () => {
      const metrics = await server.registry.metrics()
      return /keyturn_database_usable 0/.test(metrics) && /keyturn_may_write 0/.test(metrics)
    })
  }
})

it('a node is ready and measured whatever somebody writes among the reports of nodes', async () => {
  await using started = await startTestServer({ settings: ROTATION })
  const { server, config } = started
  const database = await openDatabase(config.database)
  const [own] = await database.query('SELECT * FROM node')
  const report = JSON.parse(own.body)
  // The row of a report is named after the process and its issuer.
  const rowOf = (id: string) => own.id.replace(report.id, id)
  const bodies: Readonly<Record<string, string>> = {
    a: 'null',
    b: '{}',
    c: '[]',
    d: 'no JSON',
    e: '',
    f: JSON.stringify({ ...report, id: 'f', kids: null }),
    g: JSON.stringify({ ...report, id: 'g', seenAt: '9e99' }),
    h: JSON.stringify({ ...report, id: 'h', obstacle: {} }),
    i: JSON.stringify({ ...report, id: 'another' }),
  }
  for (const [id, body] of Object.entries(bodies)) {
    await database.query('INSERT INTO node VALUES (?, ?, ?)', [rowOf(id), report.seenAt, body])
  }
  const other = JSON.stringify({ ...report, id: 'other', ofANewerVersion: 1 })
  await database.query('INSERT INTO node VALUES (?, ?, ?)', [rowOf('other'), report.seenAt, other])
  const nodes = async () => (await server.readiness()).checks.nodes?.detail ?? ''
  await until('the node hears of the other', async () => (await nodes()).startsWith('2 live'))
  assert.ok((await server.readiness()).ok)
  assert.match(await server.registry.metrics(), /keyturn_nodes\{state="live"\} 2/)
  await database.destroy()
})
