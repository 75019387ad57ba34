import assert from 'node:assert/strict'
import { connect, createServer, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { freePort } from '../../lab/free-port.ts'
import { service } from '../../lab/services.ts'
import { systemClock } from '../../src/clock.ts'
import { serializedKey } from '../../src/conformance/records.ts'
import { shareConnections } from '../../src/connection/database-url.ts'
import { openDatabase } from '../../src/database/database.ts'
import { migrate } from '../../src/database/migrate.ts'
import { PostgresPool, postgresOptions } from '../../src/database/postgres-pool.ts'
import { createSqlKeyStore } from '../../src/database/sql-key-store.ts'
import { openArtifactsOf } from '../support/artifacts.ts'
import { testAuthentic } from '../support/authentic.ts'
import { createMigrated, DATABASES, settingsOf } from '../support/databases.ts'

/** How to end all other sessions of a database, as a restart of its server does. */
const END_SESSIONS = {
  PostgreSQL: async (query: Query) => {
    await query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND pid <> pg_backend_pid()`,
    )
  },
  MariaDB: async (query: Query) => {
    const sessions = await query(
      `SELECT id FROM information_schema.processlist
       WHERE db = DATABASE() AND id <> CONNECTION_ID()`,
    )
    for (const { id } of sessions) await query(`KILL ${id}`)
  },
}

type Query = (sql: string) => Promise<{ id: string }[]>

for (const database of DATABASES) {
  if (database.name === 'SQLite') continue
  const endSessions = END_SESSIONS[database.name]

  describe(`connections to ${database.name}`, { skip: database.skip }, () => {
    it('are waited for no longer than database.timeout while all are in use', async () => {
      const { url, close } = await createMigrated(database)
      const settings = { url, connections: 4, timeout: 1 }
      const source = await openDatabase(settings)
      const store = createSqlKeyStore(source)
      const { others } = shareConnections(settings.connections)
      const runners = Array.from({ length: others }, () => source.createQueryRunner())
      for (const runner of runners) await runner.connect()
      const isRefused = { code: 'store_unavailable', message: /does not answer within database/ }
      await Promise.all([1, 2].map(() => assert.rejects(store.load(), isRefused)))
      for (const runner of runners) await runner.release()
      await store.load()
      await source.destroy()
      await close()
    })

    it('that the server ends, idle or at work, are made anew', async () => {
      const { url, dataSource, close } = await createMigrated(database)
      const settings = settingsOf({ url })
      const other = await openDatabase(settings)
      const artifacts = await openArtifactsOf(
        { database: settings },
        { authentic: testAuthentic(), clock: systemClock },
      )
      const tokens = artifacts.adapter('AccessToken')
      const store = createSqlKeyStore(other)
      await store.addKey(serializedKey(1))
      await tokens.upsert('t', { jti: 't' }, 60)

      const codes = artifacts.adapter('AuthorizationCode')

      for (let round = 0; round < 3; round++) {
        const used = Array.from({ length: 20 }, (_, i) => `code ${i} of round ${round}`)
        for (const id of used) await codes.upsert(id, { jti: id, grantId: id }, 60)
        const requests = Promise.all([
          ...used.map((id) => codes.consume(id)),
          ...Array.from({ length: 20 }, () => tokens.find('t')),
          ...Array.from({ length: 20 }, (_, i) => tokens.upsert(`t${i}`, { jti: `t${i}` }, 60)),
        ])
        const atWork = Promise.allSettled(Array.from({ length: 20 }, () => store.load()))
        await endSessions((sql) => dataSource.query(sql))
        // What may be done twice is, and no request knows of it.
        await requests
        for (const id of used) assert.ok((await codes.find(id))?.consumed)
        for (const result of await atWork) {
          if (result.status === 'rejected') assert.equal(result.reason.code, 'store_unavailable')
        }
        await untilItWorks(async () => {
          assert.equal((await store.load()).keys.length, 1)
          assert.equal((await tokens.find('t'))?.jti, 't')
        })
      }
      await artifacts.close()
      await other.destroy()
      await close()
    })

    it('are no more than the setting says, and as many as it says are used', async () => {
      const { url, dataSource, close } = await createMigrated(database)
      const settings = { url, connections: 6, timeout: 5 }
      const other = await openDatabase(settings)
      const artifacts = await openArtifactsOf(
        { database: settings },
        { authentic: testAuthentic(), clock: systemClock },
      )
      const tokens = artifacts.adapter('AccessToken')
      await Promise.all([
        ...Array.from({ length: 50 }, (_, i) => tokens.consume(`${i}`).catch(() => {})),
        ...Array.from({ length: 50 }, () => createSqlKeyStore(other).load()),
      ])
      const counted =
        database.name === 'PostgreSQL'
          ? 'SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database()'
          : 'SELECT count(*) AS n FROM information_schema.processlist WHERE db = DATABASE()'
      const before = Number((await dataSource.query(counted))[0].n)
      await artifacts.close()
      await other.destroy()
      await untilItWorks(async () => {
        const after = Number((await dataSource.query(counted))[0].n)
        assert.equal(before - after, settings.connections)
      })
      await close()
    })
  })
}

/** Connections are lost for a moment: tries for 5 seconds at most. */
async function untilItWorks(work: () => Promise<void>): Promise<void> {
  for (let left = 100; ; left--) {
    try {
      return await work()
    } catch (error) {
      if (left === 0) throw error
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

describe('a connection to PostgreSQL', { skip: (await service('postgres')).skip }, () => {
  it('that ends just when it is handed out does not end the process', async () => {
    const postgres = await service('postgres')
    assert.ok(postgres.skip === undefined)
    const { url, drop } = await postgres.create()
    const pool = new PostgresPool(postgresOptions({ url, connections: 1, timeout: 5 }))
    const client = await pool.connect()
    // As the library does, before whoever asked for the connection could listen.
    client.emit('error', new Error('terminating connection due to administrator command'))
    client.release(true)
    await pool.end()
    await drop()
  })
})

describe('a server that cannot be used', () => {
  const open = async (url: string, timeout = 1) => {
    const dataSource = await openDatabase({ url, connections: 2, timeout })
    await dataSource.destroy()
  }
  const fails = async (url: string, message: RegExp) => {
    const secret = 'a-secret-password'
    const own = new URL(url)
    own.username ||= 'keyturn'
    own.password ||= secret
    await assert.rejects(open(own.href), (error: Error & { code: string }) => {
      assert.equal(error.code, 'store_unavailable')
      assert.match(error.message, message)
      for (let at: unknown = error; at instanceof Error; at = at.cause) {
        assert.ok(!at.message.includes(secret), at.message)
      }
      return true
    })
  }

  for (const scheme of ['postgres', 'postgresql', 'mysql', 'mariadb']) {
    it(`${scheme}: where nothing listens is an error that says so`, async () => {
      const port = await freePort()
      await fails(
        `${scheme}://127.0.0.1:${port}/keyturn`,
        new RegExp(
          `^Cannot open the database ${scheme}://127.0.0.1:${port}/keyturn: nothing listens`,
        ),
      )
    })

    it(`${scheme}: that never answers is an error after database.timeout`, async () => {
      const sockets: Socket[] = []
      const silent = createServer((socket) => sockets.push(socket.on('error', () => {})))
      await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
      const { port } = silent.address() as { port: number }
      await fails(
        `${scheme}://127.0.0.1:${port}/keyturn`,
        /does not answer within database.timeout/,
      )
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => silent.close(resolve))
    })
  }

  it('has a host name that is unknown', async () => {
    await fails('postgres://nowhere.invalid/keyturn', /the host name of database.url is not known/)
  })

  for (const name of ['postgres', 'mariadb'] as const) {
    it(`${name}: without the database says so`, async (t) => {
      const { skip, create } = await service(name)
      if (skip) return t.skip(skip)
      const { url, drop } = await create()
      await drop()
      await assert.rejects(open(url), /has no such database/)
    })
  }

  it('mariadb: that refuses the password says so', async (t) => {
    const { skip, create } = await service('mariadb')
    if (skip) return t.skip(skip)
    await using database = await create()
    const url = new URL(database.url)
    url.username = 'nobody'
    await fails(url.href, /refuses the user or the password/)
  })

  for (const name of ['postgres', 'mariadb'] as const) {
    it(`${name}: that fell silent loses the connections in use, and others take their place`, async (t) => {
      const { skip, create } = await service(name)
      if (skip) return t.skip(skip)
      await using database = await create()
      await using proxy = await createProxy(database.url)
      const settings = { url: proxy.url, connections: 2, timeout: 1 }
      const dataSource = await openDatabase(settings)
      await migrate(dataSource)
      const artifacts = await openArtifactsOf(
        { database: settings },
        { authentic: testAuthentic(), clock: systemClock },
      )
      const tokens = artifacts.adapter('AccessToken')
      await tokens.upsert('t', { jti: 't' }, 60)
      await dataSource.query('SELECT 1')
      proxy.swallow()
      await assert.rejects(dataSource.query('SELECT 1'))
      await assert.rejects(tokens.find('t'), {
        code: 'store_unavailable',
        message: /does not answer within database.timeout|closed the connection/,
      })
      const [row] = await dataSource.query('SELECT 2 AS two')
      assert.equal(row.two, 2)
      assert.ok(await tokens.find('t'))
      await artifacts.close()
      await dataSource.destroy()
    })
  }
})

/** Passes everything on, until the connections there are fall silent without being closed. */
async function createProxy(target: string) {
  const url = new URL(target)
  const address = {
    port: Number(url.port) || (url.protocol === 'mysql:' ? 3306 : 5432),
    host: url.hostname,
  }
  const sockets: Socket[] = []
  const server = createServer((near) => {
    const far = connect(address)
    near.pipe(far)
    far.pipe(near)
    for (const socket of [near, far]) sockets.push(socket.on('error', () => {}))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url.hostname = '127.0.0.1'
  url.port = String((server.address() as { port: number }).port)
  return {
    url: url.href,
    swallow: () => {
      for (const socket of sockets) socket.unpipe().pause()
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
