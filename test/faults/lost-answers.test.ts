import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { findServices, startService } from '../../lab/own-services.ts'
import { startTcpSwitch } from '../../lab/tcp-switch.ts'
import { systemClock } from '../../src/clock.ts'
import { serializedKey } from '../../src/conformance/records.ts'
import type { ArtifactPlace } from '../../src/database/artifact-place.ts'
import { openDatabase } from '../../src/database/database.ts'
import { migrate } from '../../src/database/migrate.ts'
import { createSqlKeyStore } from '../../src/database/sql-key-store.ts'
import { openRedis } from '../../src/redis/connection.ts'
import { openRedisArtifacts } from '../../src/redis/redis-artifacts.ts'
import { createRedisWitness } from '../../src/redis/redis-witness.ts'
import { keyturnIn, type Row } from '../cli/keyturn.ts'
import { testAuthentic } from '../support/authentic.ts'
import { DATABASES, settingsOf } from '../support/databases.ts'
import { redisSettings, skipRedis, startRedis, until } from '../support/redis.ts'

/** An answer that was lost is told as such: what was asked may be done, or be done later. */

const found = await findServices()

describe('PostgreSQL whose synchronous standby is gone', () => {
  const skip = found.has('postgres') ? false : 'postgres is not installed'
  it('has not failed to revoke a key: the command says that it may have been done', {
    skip,
  }, async () => {
    await using postgres = await startService('postgres')
    await using cli = await keyturnIn({
      KEYTURN_DATABASE__URL: postgres.url(),
      KEYTURN_DATABASE__TIMEOUT: '4s',
    })
    await cli.withStores(async () => {})
    await cli.makeRings(0)
    const database = await openDatabase(settingsOf({ url: postgres.url() }))
    const standby = async (name: string) => {
      await database.query(`ALTER SYSTEM SET synchronous_standby_names = '${name}'`)
      await database.query('SELECT pg_reload_conf()')
    }
    const [active] = await cli.json<Row[]>(['keys', 'list'])
    assert.ok(active)
    await standby('gone')
    await until('the server waits for it', async () => {
      const [row] = await database.query('SHOW synchronous_standby_names')
      return row.synchronous_standby_names === 'gone'
    })
    const { status, out, err } = await cli.run(['keys', 'revoke', active.kid])
    assert.equal(status, 1)
    assert.equal(out, '')
    assert.match(err, /It is not known whether this was done: record an event of the key ring/)
    assert.match(err, /for a synchronous standby/)
    assert.match(err, /It may have been done, or be done once the server is back/)
    assert.match(
      err,
      /To give the order twice does no harm\. To see if it was recorded: keyturn keys events/,
    )
    assert.doesNotMatch(err, /Cannot|fail/)
    // It takes effect as soon as nobody has to be waited for.
    await standby('')
    await until('the key is revoked', async () => {
      const rows = await cli.json<Row[]>(['keys', 'list'])
      return rows.find(({ kid }) => kid === active.kid)?.phase === 'revoked'
    })
    await database.destroy()
  })
})

for (const database of DATABASES) {
  if (database.name === 'SQLite') continue
  describe(`${database.name} that falls silent`, { skip: database.skip }, () => {
    it('may have done what it was asked to write, and not what it was asked to read', async () => {
      await using fresh = await database.create()
      const standard = database.name === 'MariaDB' ? 3306 : 5432
      const url = new URL(fresh.url)
      await using proxy = await startTcpSwitch(Number(url.port) || standard)
      url.hostname = '127.0.0.1'
      url.port = String(proxy.port)
      const source = await openDatabase({ url: url.href, connections: 2, timeout: 1 })
      await migrate(source)
      const keys = createSqlKeyStore(source)
      await keys.load()
      proxy.freeze()
      await assert.rejects(
        keys.addKey(serializedKey(1)),
        (error: Error & { mayBeDone: boolean }) => {
          assert.equal(error.mayBeDone, true)
          assert.match(error.message, /^It is not known whether this was done: add a key to ring/)
          return true
        },
      )
      // Connections are silent or cannot be made: nothing was asked, or nothing was to be done.
      for (let times = 0; times < 2; times++) {
        await assert.rejects(keys.load(), (error: Error & { mayBeDone: boolean }) => {
          assert.equal(error.mayBeDone, false)
          assert.match(error.message, /^Cannot read the key ring: the server does not answer/)
          return true
        })
      }
      await assert.rejects(keys.addKey(serializedKey(2)), {
        mayBeDone: false,
        message: /^Cannot add/,
      })
      proxy.thaw()
      await source.destroy()
    })
  })
}

describe('Redis that falls silent', { skip: skipRedis }, () => {
  it('may have done what it was asked to write, and not what it was asked to read', async () => {
    await using server = await startRedis()
    const redis = openRedis(redisSettings({ url: server.url, timeout: 1 }), systemClock)
    await redis.run('save a session', () => redis.client.set('a', '1'))
    server.signal('SIGSTOP')
    await assert.rejects(
      redis.run('save a session', () => redis.client.set('a', '2')),
      { mayBeDone: true, message: /^It is not known whether this was done: save a session/ },
    )
    await assert.rejects(
      redis.run('read a session', () => redis.client.get('a'), { isRead: true }),
      { mayBeDone: false, message: /^Cannot read a session/ },
    )
    server.signal('SIGCONT')
    redis.close()
  })

  it('has done nothing where a session, or the witness, was only to be read', async (t) => {
    await using server = await startRedis()
    const redis = openRedis(redisSettings({ url: server.url, timeout: 1 }), systemClock)
    t.after(() => redis.close())
    const authentic = testAuthentic()
    const store = openRedisArtifacts({
      redis,
      clock: systemClock,
      // Not asked for sessions.
      database: { of: () => ({}) } as unknown as ArtifactPlace,
    }).of(authentic)
    const sessions = store.adapter('Session')
    const witness = createRedisWitness(redis, 'https://issuer.example')
    const now = systemClock.now()
    const session = { uid: 'uid', jti: 'id', exp: now + 60, iat: now }
    await sessions.upsert('id', session, 60)
    assert.ok(await sessions.find('id'))
    assert.equal(await witness.read(), undefined)
    server.signal('SIGSTOP')
    t.after(() => server.signal('SIGCONT'))
    const [found, foundByUid, witnessed] = await Promise.allSettled([
      sessions.find('id'),
      sessions.findByUid('uid'),
      witness.read(),
    ])
    server.signal('SIGCONT')
    for (const [result, what] of [
      [found, /^Cannot read a session, code, token or grant: /],
      [foundByUid, /^Cannot read a session, code, token or grant: /],
      [witnessed, /^Cannot read the witness/],
    ] as const) {
      assert.ok(result?.status === 'rejected')
      assert.match(result.reason.message, what)
      assert.equal(result.reason.mayBeDone, false)
    }
  })
})
