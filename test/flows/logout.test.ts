import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it, mock } from 'node:test'
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import * as client from 'openid-client'
import { authorizationRequest, discoverAs } from '../../lab/relying-party.ts'
import { CLIENTS, PERSON, startTestServer, type TestServer } from '../../lab/server.ts'
import { createUserAgent, signIn, type UserAgent } from '../../lab/user-agent.ts'
import { orderRevocation } from '../../src/ring/orders.ts'
import { operate } from '../support/operator.ts'

/** Ends of sessions: by the person, with old hints, and what clients hear of it. */

const DAY = 86_400
const HOME = 'http://localhost:9999/'
const heard: string[] = []

let keyturn: TestServer
const rp = createServer((request, response) => {
  let body = ''
  request.on('data', (chunk) => {
    body += chunk
  })
  request.on('end', () => {
    heard.push(new URLSearchParams(body).get('logout_token') ?? '')
    response.end()
  })
})

before(async () => {
  mock.timers.enable({ apis: ['Date'], now: Date.now() })
  await new Promise<void>((resolve) => rp.listen(0, 'localhost', resolve))
  const { port } = rp.address() as AddressInfo
  const web = CLIENTS[0]
  const told = {
    ...web,
    client_id: 'told',
    backchannel_logout_uri: `http://localhost:${port}/`,
    backchannel_logout_session_required: true,
  }
  keyturn = await startTestServer({ settings: { clients: [...CLIENTS, told] } })
})
after(async () => {
  await keyturn[Symbol.asyncDispose]()
  rp.close()
  mock.timers.reset()
})

async function signInTo(id: string, agent: UserAgent) {
  const rp = await discoverAs(keyturn.issuer, id)
  const { url, redeem } = await authorizationRequest(rp)
  const { callback, steps } = await signIn(agent, url, PERSON)
  const tokens = await redeem(callback)
  const hint = tokens.id_token ?? ''
  const logoutUrl = client.buildEndSessionUrl(rp, {
    id_token_hint: hint,
    post_logout_redirect_uri: HOME,
    state: 'bye',
  })
  return { steps, hint, logoutUrl }
}

const kidOf = (token: string) => decodeProtectedHeader(token).kid ?? ''

/** Opens the sign-out page and says yes. */
async function signOut(agent: UserAgent, logoutUrl: URL): Promise<string> {
  const { url, page } = await agent.open(logoutUrl.href, keyturn.issuer)
  const text = (await page?.text()) ?? ''
  const xsrf = /name="xsrf" value="([^"]+)"/.exec(text)?.[1]
  assert.ok(xsrf, text)
  const target = new URL('/session/end/confirm', url).href
  return (await agent.submit(target, keyturn.issuer, { xsrf, logout: 'yes' })).url
}

describe('signing out', () => {
  it('ends the session and goes back to the client with its state', async () => {
    const agent = createUserAgent()
    const { logoutUrl } = await signInTo('web', agent)
    assert.equal(await signOut(agent, logoutUrl), `${HOME}?state=bye`)
    assert.deepEqual((await signInTo('web', agent)).steps, ['sign-in'], 'the session lives on')
  })

  it('tells other clients of the session with a logout token that verifies', async () => {
    const agent = createUserAgent()
    await signInTo('told', agent)
    const { logoutUrl } = await signInTo('web', agent)
    heard.length = 0
    await signOut(agent, logoutUrl)
    assert.equal(heard.length, 1)
    const jwks = createRemoteJWKSet(new URL(`${keyturn.issuer}/jwks`))
    const { payload, protectedHeader } = await jwtVerify(heard[0] ?? '', jwks, {
      issuer: keyturn.issuer,
      audience: 'told',
      typ: 'logout+jwt',
    })
    assert.equal(protectedHeader.alg, 'RS256')
    assert.ok(payload.events && payload.sid)
  })

  it('works with a hint whose key left the JWKS long ago', async () => {
    const agent = createUserAgent()
    const { logoutUrl, hint } = await signInTo('web', agent)
    const { scheduler } = keyturn.server.issuers[0]
    for (let month = 0; month < 12; month++) {
      mock.timers.tick(30 * DAY * 1000)
      await scheduler.runAgain()
    }
    const jwks = await (await fetch(`${keyturn.issuer}/jwks`)).text()
    assert.ok(!jwks.includes(kidOf(hint)), 'the key is still published')
    const state = scheduler.status.view?.states.find((s) => s.key.kid === kidOf(hint))
    assert.equal(state?.phase, 'archived')

    // The session ended with its cookie; without one, the form submits itself.
    const { url, page } = await agent.open(logoutUrl.href, keyturn.issuer)
    const text = (await page?.text()) ?? ''
    assert.equal(page?.status, 200, text)
    const xsrf = /name="xsrf" value="([^"]+)"/.exec(text)?.[1] ?? ''
    const target = new URL('/session/end/confirm', url).href
    const end = await agent.submit(target, keyturn.issuer, { xsrf, logout: 'yes' })
    assert.equal(end.url, `${HOME}?state=bye`)
  })

  it('refuses a hint whose key was revoked', async () => {
    const agent = createUserAgent()
    const { logoutUrl, hint } = await signInTo('web', agent)
    const order = { kid: kidOf(hint), actor: 'test', reason: 'leaked' }
    await operate(keyturn.config, (facts, policies, now) =>
      orderRevocation(facts, policies, { ...order, now }),
    )
    await keyturn.server.issuers[0].scheduler.runAgain()
    const { page } = await agent.open(logoutUrl.href, keyturn.issuer)
    assert.equal(page?.status, 400)
  })

  it('refuses a hint that Keyturn did not sign', async () => {
    const agent = createUserAgent()
    const { logoutUrl, hint } = await signInTo('web', agent)
    const [header, payload] = hint.split('.')
    logoutUrl.searchParams.set('id_token_hint', `${header}.${payload}.${'A'.repeat(342)}`)
    const { page } = await agent.open(logoutUrl.href, keyturn.issuer)
    assert.equal(page?.status, 400)
  })
})
