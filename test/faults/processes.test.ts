import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import * as client from 'openid-client'
import { freePort } from '../../lab/free-port.ts'
import { authorizationRequest, discoverAs } from '../../lab/relying-party.ts'
import { API, addPerson, PERSON, SECRET, testSettings } from '../../lab/server.ts'
import { temporaryFolder } from '../../lab/temporary.ts'
import { createUserAgent, signIn } from '../../lab/user-agent.ts'
import { orderPromotion } from '../../src/ring/orders.ts'
import { operate } from '../support/operator.ts'
import { spawnServer, untilReady } from '../support/process.ts'

/** Enough for one hash to take a second: a request that is under way for a while. */
const SLOW_PASSWORDS = { argon2: { memoryKiB: 262_144, passes: 4, parallelism: 1 } }

describe('a server that is told to stop', () => {
  it('finishes a sign-in that is under way, ends cleanly, and the browser goes on after the restart', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'keyturn.yaml')
    const config = await testSettings(folder.path, { password: SLOW_PASSWORDS })
    await addPerson(config)
    const first = spawnServer(file)
    await untilReady(first, config)
    const { issuer } = config
    const rp = await discoverAs(issuer, 'web')
    const { url, redeem } = await authorizationRequest(rp)
    const agent = createUserAgent()
    const { url: page } = await agent.open(url, issuer)

    const posted = agent.request(page, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', origin: issuer },
      body: new URLSearchParams({ ...PERSON, action: 'sign-in' }),
    })
    // The password is being hashed when the signal comes: had the request not arrived by then, it
    // would be refused, and that it has no answer yet is asserted.
    const pause = new Promise((resolve) => setTimeout(resolve, 100, 'no answer yet'))
    assert.equal(await Promise.race([posted, pause]), 'no answer yet')
    const stopped = first.stop('SIGTERM')
    const answer = await posted
    assert.equal(answer.status, 303)
    assert.equal(await stopped, 0, first.output())
    await assert.rejects(fetch(`${issuer}/jwks`), 'it still listens')

    const second = spawnServer(file)
    await untilReady(second, config)
    const resumed = new URL(answer.headers.get('location') ?? '', page)
    const { callback, steps } = await signIn(agent, resumed.href, PERSON)
    assert.deepEqual(steps, ['consent'], 'the sign-in was lost')
    const tokens = await redeem(callback)
    assert.ok(tokens.id_token)
    assert.equal(await second.stop('SIGINT'), 0, second.output())
  })

  it('by SIGKILL loses nothing that was answered', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'keyturn.yaml')
    const config = await testSettings(folder.path)
    const first = spawnServer(file)
    await untilReady(first, config)
    const rp = await discoverAs(config.issuer, 'machine')
    const resource = `${API}/opaque`
    const tokens = await Promise.all(
      Array.from({ length: 20 }, () =>
        client.clientCredentialsGrant(rp, { resource, scope: 'read' }),
      ),
    )
    await first.stop('SIGKILL')
    const second = spawnServer(file)
    await untilReady(second, config)
    for (const { access_token: token } of tokens) {
      assert.equal((await client.tokenIntrospection(rp, token)).active, true)
    }
    await second.stop()
  })
})

describe('two servers on one SQLite file', () => {
  it('agree on their keys, accept each other’s tokens, and both follow a promotion', async () => {
    await using folder = await temporaryFolder()
    const settings = { rotation: { refreshInterval: '1s' } }
    const config = await testSettings(folder.path, settings)
    const one = spawnServer(join(folder.path, 'keyturn.yaml'))
    // Started at the same instant on an empty folder: migrations, keys, administrator.
    const port = await freePort()
    const other = { ...config, http: { ...config.http, port } }
    await using folder2 = await temporaryFolder()
    await testSettings(folder2.path, {
      ...settings,
      issuer: config.issuer,
      http: { port, host: 'localhost' },
      database: { url: config.database.url },
      seal: { file: config.seal.file },
    })
    const two = spawnServer(join(folder2.path, 'keyturn.yaml'))
    const otherUrl = `http://localhost:${port}`
    await untilReady(one, config)
    await untilReady(two, { ...other, issuer: otherUrl })

    const jwksOf = async (url: string) => (await fetch(`${url}/jwks`)).text()
    const until = async (condition: () => Promise<boolean>) => {
      for (let i = 0; i < 200; i++) {
        if (await condition()) return
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
      assert.fail(`${one.output()}\n${two.output()}`)
    }
    await until(async () => (await jwksOf(config.issuer)) === (await jwksOf(otherUrl)))
    const { keys } = JSON.parse(await jwksOf(config.issuer))
    assert.equal(keys.length, 4, 'two servers made more keys than one')

    const token = async (url: string) => {
      const answer = await fetch(`${url}/token`, {
        method: 'POST',
        headers: { authorization: `Basic ${btoa(`machine:${SECRET}`)}` },
        body: new URLSearchParams({
          grant_type: 'client_credentials',
          resource: API,
          scope: 'read',
        }),
      })
      const { access_token } = (await answer.json()) as { access_token: string }
      return access_token
    }
    const kidOf = async (url: string) =>
      (await jwtVerify(await token(url), createRemoteJWKSet(new URL(`${config.issuer}/jwks`))))
        .protectedHeader.kid
    assert.equal(await kidOf(config.issuer), await kidOf(otherUrl))

    const standby = keys.filter((key: { alg: string }) => key.alg === 'RS256')[1].kid
    await operate(config, (facts, policies, now) =>
      orderPromotion(facts, policies, {
        kid: standby,
        force: true,
        now,
        actor: 'test',
        reason: 'test',
      }),
    )
    await until(
      async () => (await kidOf(config.issuer)) === standby && (await kidOf(otherUrl)) === standby,
    )
    assert.equal(await one.stop(), 0)
    assert.equal(await two.stop(), 0)
  })
})
