import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { decodeJwt } from 'jose'
import * as client from 'openid-client'
import { pino } from 'pino'
import { freePort } from '../../lab/free-port.ts'
import { authorizationRequest, discoverAs } from '../../lab/relying-party.ts'
import {
  API,
  PERSON,
  SECRET,
  startTestServer,
  type TestServer,
  testSettings,
} from '../../lab/server.ts'
import { temporaryFolder } from '../../lab/temporary.ts'
import { createUserAgent, signIn } from '../../lab/user-agent.ts'
import { systemClock } from '../../src/clock.ts'
import { openRedis, type RedisConnection } from '../../src/redis/connection.ts'
import { orderRevocation } from '../../src/ring/orders.ts'
import { startServer } from '../../src/server/server.ts'
import { operate } from '../support/operator.ts'
import { spawnServer, untilReady } from '../support/process.ts'
import { type RedisProcess, redisSettings, skipRedis, startRedis, until } from '../support/redis.ts'

/** Redis goes away under a running server, freezes, comes back empty, or was never there. */

const PASSWORD = 'the-password-of-redis'

/** What of a server does not need Redis must go on; what does must say so. */
async function post(issuer: string, path: string, form: Record<string, string>) {
  const answer = await fetch(`${issuer}${path}`, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa(`machine:${SECRET}`)}` },
    body: new URLSearchParams(form),
  })
  const body = (await answer.json()) as Record<string, unknown>
  return { status: answer.status, body, retryAfter: answer.headers.get('retry-after') }
}
const grant = { grant_type: 'client_credentials', scope: 'read' }
const jwt = { ...grant, resource: API }
const opaque = { ...grant, resource: `${API}/opaque` }

async function readiness({ server }: Pick<TestServer, 'server'>) {
  const answer = await fetch(`${server.managementUrl}/health/ready`)
  const { checks } = (await answer.json()) as { checks: Record<string, { detail: string }> }
  return { status: answer.status, detail: checks.redis?.detail ?? '' }
}

async function metric({ server }: TestServer, name: string): Promise<number> {
  const text = await (await fetch(`${server.managementUrl}/metrics`)).text()
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1])
}

describe('a server whose Redis', { skip: skipRedis }, () => {
  let redis: RedisProcess
  let keyturn: TestServer
  before(async () => {
    redis = await startRedis(['save ""', `requirepass ${PASSWORD}`])
    const url = `redis://:${PASSWORD}@127.0.0.1:${redis.port}`
    const { prefix } = redisSettings({})
    const tokens = { refreshReuseLeeway: '0s' }
    keyturn = await startTestServer({ settings: { redis: { url, prefix, timeout: '1s' }, tokens } })
  })
  after(async () => {
    await keyturn?.[Symbol.asyncDispose]()
    await redis?.[Symbol.asyncDispose]()
  })
  const answers = async () =>
    until('the server works again', async () => {
      const { status } = await post(keyturn.issuer, '/token', opaque)
      return status === 200
    })

  /** What must hold while Redis cannot be used. */
  async function assertDegraded(): Promise<void> {
    const { issuer } = keyturn
    const failures = await metric(keyturn, 'keyturn_server_errors_total')
    const begun = performance.now()
    const refused = await Promise.all([
      post(issuer, '/token', opaque),
      post(issuer, '/token/introspection', { token: 'unknown' }),
    ])
    assert.ok(performance.now() - begun < 2500, 'the answers took longer than redis.timeout')
    for (const { status, body, retryAfter } of refused) {
      assert.equal(status, 503)
      assert.equal(body.error, 'temporarily_unavailable')
      assert.match(String(body.error_description), /temporarily unable to handle the request/)
      assert.equal(retryAfter, '5')
    }
    assert.equal(await metric(keyturn, 'keyturn_server_errors_total'), failures + 2)
    assert.equal(await metric(keyturn, 'keyturn_redis_reachable'), 0)

    const { status, detail } = await readiness(keyturn)
    assert.equal(status, 200)
    assert.match(detail, new RegExp(`127.0.0.1:${redis.port}.*has not been usable since`))
    assert.ok(!detail.includes(PASSWORD))

    for (const path of ['/jwks', '/.well-known/openid-configuration']) {
      assert.equal((await fetch(`${issuer}${path}`)).status, 200)
    }
    const token = await post(issuer, '/token', jwt)
    assert.equal(token.status, 200)
    assert.equal(decodeJwt(String(token.body.access_token)).aud, API)
    // Whether it was revoked only Redis knows.
    const presented = { token: String(token.body.access_token) }
    for (const path of ['/token/introspection', '/token/revocation']) {
      const { status, body, retryAfter } = await post(issuer, path, presented)
      assert.deepEqual([status, body.error, retryAfter], [503, 'temporarily_unavailable', '5'])
    }
    assert.equal(await metric(keyturn, 'keyturn_server_errors_total'), failures + 4)
  }

  it('stops says so, does what it can without, and goes on when it is back', async () => {
    await answers()
    const { issuer } = keyturn
    const rp = await discoverAs(issuer, 'web')
    const agent = createUserAgent()
    const begun = await authorizationRequest(rp)
    const { url: page } = await agent.open(begun.url, issuer)
    await redis.stop()
    await assertDegraded()
    const shown = await agent.request(page)
    assert.equal(shown.status, 503)
    assert.match(await shown.text(), /try again in a moment/)
    // To an application that sends a person, in the words that it knows (RFC 6749, section 4.1.2.1).
    const sent = await createUserAgent().request(begun.url)
    const told = new URL(sent.headers.get('location') ?? '')
    assert.equal(told.searchParams.get('error'), 'temporarily_unavailable')
    await redis.start()
    await answers()
    assert.match((await readiness(keyturn)).detail, /answers/)
    assert.equal(await metric(keyturn, 'keyturn_redis_reachable'), 1)
  })

  it('freezes says so as well, and goes on when it thaws', async () => {
    await answers()
    redis.signal('SIGSTOP')
    try {
      await assertDegraded()
    } finally {
      redis.signal('SIGCONT')
    }
    await answers()
  })

  it('is restarted for a moment keeps the requests of that moment waiting, and loses none', async () => {
    await answers()
    await redis.stop()
    const waiting = [1, 2, 3].map(() => post(keyturn.issuer, '/token', opaque))
    await redis.start()
    assert.deepEqual(
      (await Promise.all(waiting)).map(({ status }) => status),
      [200, 200, 200],
    )
  })

  it('fails after a code or a refresh token was used lets it be used again', async (t) => {
    await answers()
    const { config, issuer } = keyturn
    const connection = openRedis(redisSettings({ url: config.redis.url ?? '' }), systemClock)
    t.after(connection.close)
    const allow = (...keys: string[]) =>
      connection.run('change the rights', async () =>
        connection.client.call('ACL', 'SETUSER', 'default', 'resetkeys', ...keys),
      )
    // Whatever but access tokens, which are saved last.
    const models = ['AuthorizationCode', 'Grant', 'RefreshToken', 'Session']
    const all = models.map((model) => `~${config.redis.prefix}*:a:{${model}*`)
    const fail = () => allow(...all, `~${config.redis.prefix}*:[gu]:*`)

    const rp = await discoverAs(issuer, 'web')
    const wishes = { scope: 'openid offline_access', prompt: 'consent' }
    const { url, redeem } = await authorizationRequest(rp, wishes)
    const { callback } = await signIn(createUserAgent(), url, PERSON)
    const unavailable = ({ cause }: Error) => cause instanceof Response && cause.status === 503
    await fail()
    await assert.rejects(redeem(callback), unavailable).finally(() => allow('allkeys'))
    const { refresh_token: refreshToken = '' } = await redeem(callback)

    await fail()
    const refresh = () => client.refreshTokenGrant(rp, refreshToken)
    await assert.rejects(refresh(), unavailable).finally(() => allow('allkeys'))
    const tokens = await refresh()
    assert.ok(tokens.access_token && tokens.refresh_token)
    // Those that were answered are used up as ever.
    await assert.rejects(refresh(), { error: 'invalid_grant' })
  })

  it('forgot everything lets a person who was signing in start again, with a clear page', async () => {
    await answers()
    const { issuer } = keyturn
    const rp = await discoverAs(issuer, 'web')
    const agent = createUserAgent()
    const begun = await authorizationRequest(rp)
    const { url: page } = await agent.open(begun.url, issuer)
    await redis.stop()
    await redis.start()
    await answers()
    const answer = await agent.request(page, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', origin: issuer },
      body: new URLSearchParams({ ...PERSON, action: 'sign-in' }),
    })
    assert.ok(answer.status >= 400 && answer.status < 500, String(answer.status))
    assert.match(await answer.text(), /has expired/)
    const again = await authorizationRequest(rp)
    const { callback } = await signIn(agent, again.url, PERSON)
    assert.ok((await again.redeem(callback)).id_token)
  })
})

describe('a server that starts without its Redis', { skip: skipRedis }, () => {
  it('starts, says that it is missing, and uses it once it is there', async () => {
    await using redis = await startRedis()
    await redis.stop()
    const settings = { redis: { url: redis.url, timeout: '1s' } }
    await using keyturn = await startTestServer({ settings })
    assert.equal((await fetch(`${keyturn.issuer}/jwks`)).status, 200)
    assert.match((await readiness(keyturn)).detail, /has not been usable/)
    assert.equal((await post(keyturn.issuer, '/token', opaque)).status, 503)
    await redis.start()
    await until('the server finds it', async () => {
      return (await post(keyturn.issuer, '/token', opaque)).status === 200
    })
  })

  it('says that a password is wrong, and not which', async () => {
    await using redis = await startRedis(['save ""', `requirepass ${PASSWORD}`])
    await using folder = await temporaryFolder()
    const url = `redis://:wrong-one@127.0.0.1:${redis.port}`
    const config = await testSettings(folder.path, { redis: { url, timeout: '1s' } })
    const server = await startServer(config, { log: pino({ level: 'silent' }) })
    const { detail } = await readiness({ server })
    await server.close()
    assert.match(detail, /refuses the user or password of redis.url/)
    assert.ok(!detail.includes('wrong-one'))
  })
})

/** True if Redis answers a PING in the time that a call has. */
async function isAnswering({ client, run }: RedisConnection): Promise<boolean> {
  return (await run('look', async () => client.ping()).catch(() => '')) === 'PONG'
}

describe('a connection', { skip: skipRedis }, () => {
  it('does nothing later that its caller has given up on', async (t) => {
    await using redis = await startRedis()
    const settings = redisSettings({ url: redis.url, timeout: 0.5 })
    const connection = openRedis(settings, systemClock)
    t.after(connection.close)
    const { client, run } = connection
    await until('it is connected', () => isAnswering(connection))
    await run('begin', () => client.set(`${settings.prefix}a`, '0'))
    await redis.stop()
    await assert.rejects(
      run('count', () => client.incr(`${settings.prefix}a`)),
      { code: 'store_unavailable' },
    )
    await redis.start()
    await until('it is back', () => isAnswering(connection))
    assert.equal(await run('look', () => client.get(`${settings.prefix}a`)), null)
  })

  it('does not repeat what its caller has given up on', async (t) => {
    await using redis = await startRedis()
    const settings = redisSettings({ url: redis.url, timeout: 0.3 })
    const connection = openRedis(settings, systemClock)
    t.after(connection.close)
    const { client, run } = connection
    await until('it is connected', () => isAnswering(connection))
    await run('begin', () => client.set(`${settings.prefix}a`, '0'))
    redis.signal('SIGSTOP')
    await assert.rejects(run('count', () => client.incr(`${settings.prefix}a`)))
    // The broken connection is noticed a moment later, with the command unanswered.
    await until('it is reconnecting', async () => client.status !== 'ready')
    redis.signal('SIGCONT')
    const read = () => run('look', () => client.get(`${settings.prefix}a`)).catch(() => undefined)
    await until('it is back', async () => (await read()) !== undefined)
    // Once, as it had been sent; looked at for longer than a repetition would take.
    const begun = performance.now()
    while (performance.now() - begun < 500) assert.ok(Number(await read()) <= 1)
  })

  it('fails at once while an outage lasts, rather than let requests pile up', async (t) => {
    const settings = redisSettings({ url: `redis://127.0.0.1:${await freePort()}`, timeout: 0.3 })
    const connection = openRedis(settings, systemClock)
    t.after(connection.close)
    const ping = () => connection.run('ping', async () => connection.client.ping())
    await assert.rejects(ping(), /Cannot ping: Redis at 127.0.0.1.*ECONNREFUSED/)
    const begun = performance.now()
    for (let i = 0; i < 100; i++) await assert.rejects(ping())
    assert.ok(performance.now() - begun < 200, 'each call waited')
  })
})

describe('two servers with Redis between them', { skip: skipRedis }, () => {
  it('both stop trusting a revoked key at once, long before they look by themselves', async () => {
    await using redis = await startRedis()
    await using folder = await temporaryFolder()
    await using second = await temporaryFolder()
    const settings = { rotation: { refreshInterval: '30s' }, redis: { url: redis.url } }
    const config = await testSettings(folder.path, settings)
    const port = await freePort()
    const other = await testSettings(second.path, {
      ...settings,
      issuer: config.issuer,
      http: { port, host: 'localhost' },
      database: { url: config.database.url },
      seal: { file: config.seal.file },
    })
    const servers = [folder, second].map(({ path }) => spawnServer(join(path, 'keyturn.yaml')))
    const urls = [config.issuer, `http://localhost:${port}`]
    try {
      await Promise.all(
        servers.map((server, i) => untilReady(server, [config, other][i] ?? config)),
      )
      const published = () =>
        Promise.all(
          urls.map(async (url) => {
            const { keys } = (await (await fetch(`${url}/jwks`)).json()) as {
              keys: { kid: string; alg: string }[]
            }
            return keys
          }),
        )
      const kids = async () => (await published()).map((keys) => keys.map(({ kid }) => kid).join())
      await until('both publish the same keys', async () => new Set(await kids()).size === 1)
      const kid = (await published())[0]?.find(({ alg }) => alg === 'RS256')?.kid ?? ''

      await operate(config, (facts, policies, now) =>
        orderRevocation(facts, policies, { kid, now, actor: 'test', reason: 'test' }),
      )
      const begun = performance.now()
      await until('both dropped it', async () => (await kids()).every((all) => !all.includes(kid)))
      const took = performance.now() - begun
      // They look every 30 s; a busy machine is no reason to fail.
      assert.ok(took < 15_000, `it took ${Math.round(took)} ms`)
    } finally {
      await Promise.all(servers.map((server) => server.stop()))
    }
  })
})
