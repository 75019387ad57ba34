import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import Sqlite from 'better-sqlite3-napi'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import * as client from 'openid-client'
import { authorizationRequest, discoverAs } from '../../lab/relying-party.ts'
import {
  API,
  PERSON,
  REDIRECT_URI,
  SECRET,
  startTestServer,
  type TestServer,
} from '../../lab/server.ts'
import { createUserAgent, signIn, type UserAgent } from '../../lab/user-agent.ts'
import { systemClock } from '../../src/clock.ts'
import { openStores } from '../../src/server/stores.ts'
import { until } from '../support/redis.ts'

/** The flows that RPs use, driven by openid-client against the server over HTTP. */

let keyturn: TestServer
before(async () => {
  keyturn = await startTestServer()
})
after(() => keyturn[Symbol.asyncDispose]())

const discover = (id: string, secret = SECRET) => discoverAs(keyturn.issuer, id, secret)

async function authorize(
  agent: UserAgent,
  id: string,
  parameters: Record<string, string> = {},
  tokenParameters: Record<string, string> = {},
) {
  const rp = await discover(id)
  const state = client.randomState()
  const nonce = client.randomNonce()
  const wishes = { scope: 'openid profile', state, nonce, ...parameters }
  const { url, redeem } = await authorizationRequest(rp, wishes)
  const { callback, steps } = await signIn(agent, url, PERSON)
  const checks = { expectedState: state, expectedNonce: nonce }
  return { rp, steps, callback, redeem: () => redeem(callback, checks, tokenParameters) }
}

const jwks = () => createRemoteJWKSet(new URL(`${keyturn.issuer}/jwks`))

describe('the authorization code flow', () => {
  it('signs a person in, asks for consent once, and gives tokens that verify', async () => {
    const { rp, steps, redeem } = await authorize(createUserAgent(), 'web')
    assert.deepEqual(steps, ['sign-in', 'consent'])
    const tokens = await redeem()
    const { payload, protectedHeader } = await jwtVerify(tokens.id_token ?? '', jwks(), {
      issuer: keyturn.issuer,
      audience: 'web',
    })
    assert.equal(protectedHeader.alg, 'RS256')
    const person = await client.fetchUserInfo(rp, tokens.access_token, payload.sub ?? '')
    assert.equal(person.name, 'Ada Lovelace')
    assert.equal(person.email, undefined, 'email was not asked for')
  })

  it('signs ID tokens with the algorithm a client registered', async () => {
    const { redeem } = await authorize(createUserAgent(), 'web-es256')
    const { protectedHeader } = await jwtVerify((await redeem()).id_token ?? '', jwks())
    assert.equal(protectedHeader.alg, 'ES256')
  })

  it('asks nothing of a person who is signed in and agreed, and only new scopes of one who asks for more', async () => {
    const agent = createUserAgent()
    await authorize(agent, 'web')
    assert.deepEqual((await authorize(agent, 'web')).steps, [])
    assert.deepEqual((await authorize(agent, 'web', { scope: 'openid profile email' })).steps, [
      'consent',
    ])
    const elsewhere = await authorize(createUserAgent(), 'web', { scope: 'openid email' })
    assert.deepEqual(elsewhere.steps, ['sign-in'], 'consent is remembered beyond the session')
  })

  it('fills in who has to sign in again: the person of the session, or of the ID token', async () => {
    const agent = createUserAgent()
    const { rp, redeem } = await authorize(agent, 'web')
    const { id_token: hint = '' } = await redeem()
    const nameAt = async (browser: UserAgent, parameters: Record<string, string>) => {
      const { url } = await authorizationRequest(rp, parameters)
      const { page } = await browser.open(url, keyturn.issuer)
      return /name="username"[^>]* value="([^"]*)"/.exec((await page?.text()) ?? '')?.[1]
    }
    assert.equal(await nameAt(agent, { prompt: 'login' }), PERSON.username)
    assert.equal(await nameAt(agent, { prompt: 'login', login_hint: 'bob' }), 'bob')
    assert.equal(await nameAt(createUserAgent(), { prompt: 'login' }), '')
    const hinted = { prompt: 'login', id_token_hint: hint }
    assert.equal(await nameAt(createUserAgent(), hinted), PERSON.username)
  })

  it('refuses a code that was used, and revokes what it gave', async () => {
    const { rp, redeem } = await authorize(createUserAgent(), 'web')
    const tokens = await redeem()
    await assert.rejects(redeem(), { error: 'invalid_grant' })
    await assert.rejects(client.fetchUserInfo(rp, tokens.access_token, client.skipSubjectCheck))
  })

  it('gives a code to one of two requests that redeem it at the same instant', async () => {
    const { redeem } = await authorize(createUserAgent(), 'web')
    const results = await Promise.allSettled([redeem(), redeem(), redeem()])
    const won = results.filter((result) => result.status === 'fulfilled').length
    assert.ok(won <= 1, `${won} requests got tokens for one code`)
  })

  it('refuses a wrong PKCE verifier', async () => {
    const { rp, callback } = await authorize(createUserAgent(), 'web')
    const state = callback.searchParams.get('state') ?? ''
    const checks = { pkceCodeVerifier: client.randomPKCECodeVerifier(), expectedState: state }
    await assert.rejects(client.authorizationCodeGrant(rp, callback, checks), {
      error: 'invalid_grant',
    })
  })

  it('takes a pushed authorization request', async () => {
    const rp = await discover('web')
    const agent = createUserAgent()
    const verifier = client.randomPKCECodeVerifier()
    const url = await client.buildAuthorizationUrlWithPAR(rp, {
      redirect_uri: REDIRECT_URI,
      scope: 'openid',
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    })
    const { callback } = await signIn(agent, url.href, PERSON)
    const tokens = await client.authorizationCodeGrant(rp, callback, { pkceCodeVerifier: verifier })
    assert.ok(tokens.id_token)
  })

  it('gives a JWT access token for the API that was asked for', async () => {
    const parameters = { resource: `${API}/es256`, scope: 'openid read' }
    const { redeem } = await authorize(createUserAgent(), 'web', parameters, {
      resource: `${API}/es256`,
    })
    const { payload, protectedHeader } = await jwtVerify((await redeem()).access_token, jwks(), {
      audience: `${API}/es256`,
      typ: 'at+jwt',
    })
    assert.equal(protectedHeader.alg, 'ES256')
    assert.equal(payload.scope, 'read')
    assert.equal(payload.client_id, 'web')
  })
})

describe('refresh tokens', () => {
  const offline = { scope: 'openid offline_access', prompt: 'consent' }

  it('can be revoked', async () => {
    const { rp, redeem } = await authorize(createUserAgent(), 'web', offline)
    const { refresh_token: token = '' } = await redeem()
    await client.tokenRevocation(rp, token)
    await assert.rejects(client.refreshTokenGrant(rp, token), { error: 'invalid_grant' })
  })
})

describe('client credentials', () => {
  const get = async (parameters: Record<string, string>) =>
    client.clientCredentialsGrant(await discover('machine'), parameters)

  for (const [resource, algorithm] of [
    [API, 'RS256'],
    [`${API}/es256`, 'ES256'],
  ] as const) {
    it(`give a JWT signed with ${algorithm} where the API wants that`, async () => {
      const { access_token: token } = await get({ resource, scope: 'read' })
      const { payload, protectedHeader } = await jwtVerify(token, jwks(), { audience: resource })
      assert.equal(protectedHeader.alg, algorithm)
      assert.equal(payload.sub, 'machine')
    })
  }

  it('give an opaque token that introspection knows until it is revoked', async () => {
    const rp = await discover('machine')
    const { access_token: token } = await get({ resource: `${API}/opaque`, scope: 'read' })
    const answer = await client.tokenIntrospection(rp, token)
    assert.deepEqual([answer.active, answer.client_id, answer.scope], [true, 'machine', 'read'])
    await client.tokenRevocation(rp, token)
    assert.equal((await client.tokenIntrospection(rp, token)).active, false)
  })

  it('are unknown to introspection once their client is gone', async () => {
    const secret = randomUUID()
    const stores = (await openStores(keyturn.config, systemClock)).of(keyturn.config.issuer)
    await stores.clients.add({
      client_id: 'gone',
      client_secret: secret,
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
      resources: { [`${API}/opaque`]: ['read'] },
    })
    const config = await discover('gone', secret)
    const { access_token: token } = await client.clientCredentialsGrant(config, {
      resource: `${API}/opaque`,
      scope: 'read',
    })
    const rp = await discover('machine')
    assert.equal((await client.tokenIntrospection(rp, token)).active, true)
    await stores.close()
    // The token stays: it may have been issued while the client was removed.
    const database = new Sqlite(join(keyturn.folder, 'keyturn.db'))
    database.exec("DELETE FROM client WHERE id = 'gone'")
    database.close()
    await until('it is seen', async () => !(await client.tokenIntrospection(rp, token)).active)
  })

  it('bind a token to a DPoP key', async () => {
    const rp = await discover('machine')
    const handle = client.getDPoPHandle(rp, await client.randomDPoPKeyPair('ES256'))
    const parameters = { resource: API, scope: 'read' }
    const tokens = await client.clientCredentialsGrant(rp, parameters, { DPoP: handle })
    assert.equal(tokens.token_type, 'dpop')
    const { payload } = await jwtVerify(tokens.access_token, jwks())
    assert.ok((payload.cnf as { jkt?: string }).jkt)
  })

  it('are refused for an API that nobody configured', async () => {
    await assert.rejects(get({ resource: 'https://unknown.example' }), { error: 'invalid_target' })
  })

  it('are refused with a wrong secret', async () => {
    const rp = await discover('machine', 'wrong')
    await assert.rejects(client.clientCredentialsGrant(rp, {}), { error: 'invalid_client' })
  })
})
