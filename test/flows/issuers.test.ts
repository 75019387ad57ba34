import assert from 'node:assert/strict'
import { request } from 'node:http'
import { after, before, describe, it, mock } from 'node:test'
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose'
import * as client from 'openid-client'
import { pino } from 'pino'
import { freePort } from '../../lab/free-port.ts'
import { authorizationRequest, discoverAs } from '../../lab/relying-party.ts'
import {
  API,
  addPerson,
  PERSON,
  SECRET,
  startTestServer,
  type TestServer,
  testSettings,
} from '../../lab/server.ts'
import { temporaryFolder } from '../../lab/temporary.ts'
import { createUserAgent, signIn } from '../../lab/user-agent.ts'
import type { Config } from '../../src/config/schema.ts'
import { orderRevocation, orderRotation } from '../../src/ring/orders.ts'
import { startServer } from '../../src/server/server.ts'
import { operate } from '../support/operator.ts'

/** Three issuers on one server: two on one host, told apart by path, and one on a host of its own. */

const RING = 'sig/RS256'
const DAY = 86_400

let keyturn: TestServer
let port: number
let one: string
let two: string
let elsewhere: string

before(async () => {
  port = await freePort()
  one = `http://localhost:${port}/one`
  two = `http://localhost:${port}/two`
  elsewhere = `http://127.0.0.1:${port}`
  keyturn = await startTestServer({ settings: severalIssuers(port) })
})
after(() => keyturn[Symbol.asyncDispose]())

function severalIssuers(port: number, http: object = {}) {
  return {
    issuer: undefined,
    http: { port, host: '127.0.0.1', ...http },
    issuers: [
      { issuer: `http://localhost:${port}/one`, pages: { name: 'One' } },
      { issuer: `http://localhost:${port}/two`, pages: { name: 'Two' } },
      { issuer: `http://127.0.0.1:${port}` },
    ],
  }
}

/** JSON, of which a test looks at some fields. */
const bodyOf = async (answer: Response) => (await answer.json()) as Record<string, unknown>

const kidsOf = async (issuer: string): Promise<readonly string[]> => {
  const { keys } = await bodyOf(await fetch(`${issuer}/jwks`))
  return (keys as readonly { kid: string }[]).map(({ kid }) => kid)
}

const tokenOf = async (issuer: string, resource = API): Promise<string> => {
  const machine = await discoverAs(issuer, 'machine')
  return (await client.clientCredentialsGrant(machine, { resource, scope: 'read' })).access_token
}

const post = (url: string, fields: Record<string, string>, id = 'web') =>
  fetch(url, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa(`${id}:${SECRET}`)}` },
    body: new URLSearchParams(fields),
  })

/** A request whose target and header fields are as given. */
async function rawStatus(
  path: string,
  headers: Record<string, string>,
  at = port,
): Promise<{ status: number | undefined; text: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{
    status: number | undefined
    text: string
  }>()
  const sent = request({ port: at, host: '127.0.0.1', path, headers }, async (answer) => {
    const chunks = await answer.toArray()
    resolve({ status: answer.statusCode, text: Buffer.concat(chunks).toString() })
  })
  sent.once('error', reject)
  sent.end()
  return promise
}

describe('issuers of one server', () => {
  it('publish discovery documents and keys of their own', async () => {
    for (const issuer of [one, two, elsewhere]) {
      const { pathname, origin } = new URL(issuer)
      const path = pathname.replace(/\/$/, '')
      const appended = await fetch(`${issuer}/.well-known/openid-configuration`)
      const inserted = await fetch(`${origin}/.well-known/oauth-authorization-server${path}`)
      const [discovery, metadata] = [await bodyOf(appended), await bodyOf(inserted)]
      assert.equal(discovery.issuer, issuer)
      assert.equal(discovery.jwks_uri, `${issuer}/jwks`)
      assert.deepEqual(metadata, discovery)
    }
    const kids = (await Promise.all([one, two, elsewhere].map(kidsOf))).flat()
    assert.equal(kids.length, 12)
    assert.equal(new Set(kids).size, kids.length, 'no key is published by two issuers')
  })

  it('issue tokens that verify with their own keys and with no others', async () => {
    const token = await tokenOf(one)
    const own = createRemoteJWKSet(new URL(`${one}/jwks`))
    assert.equal((await jwtVerify(token, own)).payload.iss, one)
    for (const other of [two, elsewhere]) {
      const theirs = createRemoteJWKSet(new URL(`${other}/jwks`))
      await assert.rejects(jwtVerify(token, theirs), { code: 'ERR_JWKS_NO_MATCHING_KEY' })
    }
  })

  it('know nothing of the tokens of another', async () => {
    for (const resource of [API, `${API}/opaque`]) {
      const token = await tokenOf(one, resource)
      const ask = async (issuer: string) =>
        bodyOf(await post(`${issuer}/token/introspection`, { token }, 'machine'))
      assert.equal((await ask(one)).active, true, resource)
      for (const other of [two, elsewhere]) {
        assert.deepEqual(await ask(other), { active: false }, resource)
        await post(`${other}/token/revocation`, { token }, 'machine')
      }
      assert.equal((await ask(one)).active, true, 'only its own issuer revokes it')
    }
  })

  it('know nothing of the codes, refresh tokens, sessions and consents of another', async () => {
    const agent = createUserAgent()
    const atOne = await discoverAs(one, 'web')
    const atTwo = await discoverAs(two, 'web')
    const scope = 'openid offline_access'
    const first = await authorizationRequest(atOne, { scope, prompt: 'consent' })
    const { callback, steps } = await signIn(agent, first.url, PERSON)
    assert.deepEqual(steps, ['sign-in', 'consent'])

    const code = callback.searchParams.get('code') ?? ''
    const redeem = await post(`${two}/token`, {
      ...{ grant_type: 'authorization_code', code, code_verifier: first.verifier },
      redirect_uri: `${callback.origin}${callback.pathname}`,
    })
    assert.deepEqual([redeem.status, (await bodyOf(redeem)).error], [400, 'invalid_grant'])
    const tokens = await first.redeem(callback)
    const refresh = { grant_type: 'refresh_token', refresh_token: tokens.refresh_token ?? '' }
    const refused = await post(`${two}/token`, refresh)
    assert.deepEqual([refused.status, (await bodyOf(refused)).error], [400, 'invalid_grant'])
    assert.equal((await post(`${one}/token`, refresh)).status, 200)
    const userinfo = await fetch(`${two}/userinfo`, {
      headers: { authorization: `Bearer ${tokens.access_token}` },
    })
    assert.equal(userinfo.status, 401)

    // The same browser, on the same host, with all the cookies that it has.
    const second = await authorizationRequest(atTwo, { scope, prompt: 'consent' })
    const again = await signIn(agent, second.url, PERSON)
    assert.deepEqual(again.steps, ['sign-in', 'consent'])
    const other = await second.redeem(again.callback)
    assert.notEqual(
      decodeJwt(other.id_token ?? '').sub,
      decodeJwt(tokens.id_token ?? '').sub,
      'the same user name is another person',
    )
    const third = await authorizationRequest(atOne)
    assert.deepEqual((await signIn(agent, third.url, PERSON)).steps, [])
  })

  it('refuse a person who is disabled at one of them there alone', async () => {
    const { openStores } = await import('../../src/server/stores.ts')
    const { systemClock } = await import('../../src/clock.ts')
    const stores = await openStores(keyturn.config, systemClock)
    const { accounts } = stores.of(elsewhere)
    const person = await accounts.findByUsername(PERSON.username)
    await accounts.change(person?.id ?? '', () => ({ isDisabled: true }))
    await stores.close()
    const atTwo = await authorizationRequest(await discoverAs(two, 'web'))
    await signIn(createUserAgent(), atTwo.url, PERSON)
    const there = await authorizationRequest(await discoverAs(elsewhere, 'web'))
    await assert.rejects(signIn(createUserAgent(), there.url, PERSON))
  })
})

describe('a request to a server of several issuers', () => {
  it('is answered with 421 where its host is no issuer, and with 404 where its path is none', async () => {
    for (const path of ['/', '/one/jwks', '/.well-known/openid-configuration']) {
      const answer = await rawStatus(path, { host: 'evil.example' })
      assert.equal(answer.status, 421)
      assert.match(answer.text, /^No issuer of this server/)
    }
    const host = `localhost:${port}`
    for (const path of ['/', '/jwks', '/three/jwks', '/onerous/jwks']) {
      assert.equal((await rawStatus(path, { host })).status, 404, path)
    }
    assert.equal((await rawStatus('/one/jwks?a=b', { host: 'LOCALHOST.' })).status, 200)
  })

  it('finds its issuer by an absolute target before Host', async () => {
    const target = `http://localhost:${port}/two/.well-known/openid-configuration`
    const answer = await rawStatus(target, { host: 'evil.example' })
    assert.equal(JSON.parse(answer.text).issuer, two)
    assert.equal(
      (await rawStatus('http://evil.example/two/jwks', { host: 'localhost' })).status,
      421,
    )
  })

  it('finds its issuer by X-Forwarded-Host where a proxy is trusted, and only there', async () => {
    const forwarded = { host: '10.0.0.1', 'x-forwarded-host': 'localhost' }
    assert.equal((await rawStatus('/one/jwks', forwarded)).status, 421)
    const behind = await freePort()
    await using server = await startTestServer({
      settings: severalIssuers(behind, { trustedProxies: 1 }),
    })
    assert.ok(server)
    assert.equal((await rawStatus('/one/jwks', forwarded, behind)).status, 200)
    const spoofed = { host: 'localhost', 'x-forwarded-host': 'localhost, evil.example' }
    assert.equal((await rawStatus('/one/jwks', spoofed, behind)).status, 421)
  })
})

describe('a server of several issuers', () => {
  it('says of each whether it is ready, and counts for each', async () => {
    const readiness = await keyturn.server.readiness()
    assert.equal(readiness.ok, true)
    assert.deepEqual(
      readiness.issuers?.map(({ issuer, ok, checks }) => [issuer, ok, 'ring' in checks]),
      [one, two, elsewhere].map((issuer) => [issuer, true, true]),
    )
    assert.ok(!('ring' in readiness.checks) && 'database' in readiness.checks)
    await tokenOf(two)
    const text = await keyturn.server.registry.metrics()
    assert.match(text, new RegExp(`keyturn_may_sign\\{issuer="${two}"\\} 1`))
    assert.match(
      text,
      new RegExp(`keyturn_tokens_issued_total\\{issuer="${two}",kind="client_credentials_jwt"\\}`),
    )
    const { nodes } = readiness.issuers?.[1]?.checks ?? {}
    assert.match(nodes?.detail ?? '', /^1 live, 0 halted, 0 silent$/)
  })

  it('rotates and revokes keys of one issuer while the others stay as they are', async (t) => {
    mock.timers.enable({ apis: ['Date'], now: Date.now() })
    t.after(() => mock.timers.reset())
    await using server = await startTestServer({ settings: severalIssuers(await freePort()) })
    const [first, second] = server.server.issuers
    assert.ok(second)
    const turn = () =>
      Promise.all(server.server.issuers.map(({ scheduler }) => scheduler.runAgain()))
    const pass = async (seconds: number) => {
      mock.timers.setTime(Date.now() + seconds * 1000)
      await turn()
    }
    await pass(15 * DAY)
    const before = await kidsOf(second.issuer)
    const theirs = await tokenOf(second.issuer)
    const own = await tokenOf(first.issuer)
    const own1 = { ...server.config, issuer: first.issuer }

    const words = { actor: 'test', reason: 'by hand' }
    await operate(own1, (facts, policies, now) =>
      orderRotation(facts, policies, { ring: RING, now, ...words }),
    )
    await turn()
    const rotated = await tokenOf(first.issuer)
    const { kid } = decodeProtectedHeader(own)
    assert.notEqual(decodeProtectedHeader(rotated).kid, kid)
    await operate(own1, (facts, policies, now) =>
      orderRevocation(facts, policies, { kid: kid ?? '', now, ...words }),
    )
    await turn()
    assert.ok(!(await kidsOf(first.issuer)).includes(kid ?? ''))
    await assert.rejects(jwtVerify(own, createRemoteJWKSet(new URL(`${first.issuer}/jwks`))))
    await jwtVerify(rotated, createRemoteJWKSet(new URL(`${first.issuer}/jwks`)))

    assert.deepEqual(await kidsOf(second.issuer), before)
    await jwtVerify(theirs, createRemoteJWKSet(new URL(`${second.issuer}/jwks`)))
    assert.equal(
      decodeProtectedHeader(await tokenOf(second.issuer)).kid,
      decodeProtectedHeader(theirs).kid,
    )
  })
})

describe('an issuer that becomes one of several', () => {
  it('keeps its keys, its people and its witness, and so it does on the way back', async () => {
    await using folder = await temporaryFolder()
    const at = await freePort()
    const own = { http: { port: at, host: '127.0.0.1' }, issuer: `http://localhost:${at}/one` }
    const alone = await testSettings(folder.path, own)
    await addPerson(alone)
    const started = async (config: Config) => {
      const lines: string[] = []
      const log = pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) })
      const server = await startServer(config, { log })
      const kids = await kidsOf(own.issuer)
      const request = await authorizationRequest(await discoverAs(own.issuer, 'web'))
      await signIn(createUserAgent(), request.url, PERSON)
      await server.close()
      return { kids, ofWitness: lines.filter((line) => line.includes('witness')) }
    }
    const before = await started(alone)
    const several = await started(await testSettings(folder.path, severalIssuers(at)))
    assert.deepEqual(several, { kids: before.kids, ofWitness: [] })
    const after = await started(await testSettings(folder.path, own))
    assert.deepEqual(after, { kids: before.kids, ofWitness: [] })
  })
})
