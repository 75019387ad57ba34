import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import * as client from 'openid-client'
import { authorizationRequest, discoverAs } from '../../lab/relying-party.ts'
import {
  API,
  CLIENTS,
  PERSON,
  REDIRECT_URI,
  SECRET,
  startTestServer,
  type TestServer,
} from '../../lab/server.ts'
import { createUserAgent, signIn } from '../../lab/user-agent.ts'
import { firstToken, refresh } from '../conformance/refresh.ts'

/**
 * A refused request uses nothing up: what was sent with it can be used by the right one. There is no
 * leeway here, so a second use would end the grant.
 */

const signing = await generateKeyPair('ES256')
const JWT_CLIENT = {
  client_id: 'assertive',
  token_endpoint_auth_method: 'private_key_jwt',
  jwks: { keys: [{ ...(await exportJWK(signing.publicKey)), alg: 'ES256', use: 'sig' }] },
  redirect_uris: [],
  response_types: [],
  grant_types: ['client_credentials'],
}
const BOUND_CLIENT = { ...CLIENTS[0], client_id: 'bound', dpop_bound_access_tokens: true }

let keyturn: TestServer
before(async () => {
  keyturn = await startTestServer({
    settings: {
      tokens: { refreshReuseLeeway: '0s' },
      clients: [...CLIENTS, JWT_CLIENT, BOUND_CLIENT],
    },
  })
})
after(() => keyturn?.[Symbol.asyncDispose]())

const offline = { scope: 'openid offline_access', prompt: 'consent' }
const UNKNOWN = 'https://unknown.example'

/** Signed in and agreed; the code is not redeemed yet. */
async function withCode(id = 'web', parameters: Readonly<Record<string, string>> = offline) {
  const rp = await discoverAs(keyturn.issuer, id)
  const { url, redeem, verifier } = await authorizationRequest(rp, parameters)
  const { callback } = await signIn(createUserAgent(), url, PERSON)
  const right = {
    id,
    grant_type: 'authorization_code',
    code: callback.searchParams.get('code') ?? '',
    redirect_uri: REDIRECT_URI,
    code_verifier: verifier,
  }
  return { rp, right, redeem: redeem.bind(undefined, callback) }
}

/** A token request by a client, and what came of it. */
async function ask(
  { id, ...parameters }: { readonly id: string } & Readonly<Record<string, string>>,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ readonly status: number; readonly error?: string }> {
  const response = await fetch(`${keyturn.issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa(`${id}:${SECRET}`)}`, ...headers },
    body: new URLSearchParams(parameters),
  })
  return { status: response.status, ...((await response.json()) as { error?: string }) }
}

describe('a refresh token', () => {
  for (const [what, parameters, error] of [
    ['an API that its grant does not have', { resource: API }, 'invalid_target'],
    ['an API that nobody knows', { resource: UNKNOWN }, 'invalid_target'],
    ['a resource that is no URI', { resource: 'nonsense' }, 'invalid_target'],
    ['a scope that its grant does not have', { scope: 'openid email' }, 'invalid_scope'],
  ] as const) {
    it(`is as it was after ${what} was asked for`, async () => {
      const token = await firstToken(keyturn.issuer)
      for (let times = 0; times < 2; times++) {
        const { status, body } = await refresh(keyturn.issuer, token, { ...parameters })
        assert.deepEqual([status, body.error], [400, error])
      }
      const { status, body } = await refresh(keyturn.issuer, token)
      assert.equal(status, 200)
      assert.equal((await refresh(keyturn.issuer, body.refresh_token)).status, 200)
    })
  }

  it('is as it was after it came without the DPoP proof that its client needs', async () => {
    const { rp, redeem } = await withCode('bound')
    const DPoP = client.getDPoPHandle(rp, await client.randomDPoPKeyPair('ES256'))
    const { refresh_token: token = '' } = await redeem({}, {}, { DPoP })
    await assert.rejects(client.refreshTokenGrant(rp, token), { error: 'invalid_grant' })
    await client.refreshTokenGrant(rp, token, {}, { DPoP })
  })
})

describe('an authorization code', () => {
  for (const [what, wrong] of [
    ['with a wrong verifier', { code_verifier: client.randomPKCECodeVerifier() }],
    ['with another redirect URI', { redirect_uri: `${REDIRECT_URI}/other` }],
    ['by another client', { id: 'web-es256' }],
    ['for an API that its grant does not have', { resource: API }],
    ['for an API that nobody knows', { resource: UNKNOWN }],
  ] as const) {
    it(`is as it was after it came ${what}, and is used once`, async () => {
      const { right, redeem } = await withCode()
      const { status, error } = await ask({ ...right, ...wrong })
      assert.equal(status, 400)
      assert.equal(error, 'resource' in wrong ? 'invalid_target' : 'invalid_grant')
      const { refresh_token: token = '' } = await redeem()
      await assert.rejects(redeem(), { error: 'invalid_grant' })
      assert.equal((await refresh(keyturn.issuer, token)).body.error, 'invalid_grant')
    })
  }

  it('is as it was after it came without the DPoP proof that its client needs', async () => {
    const { rp, redeem } = await withCode('bound')
    await assert.rejects(redeem(), { error: 'invalid_grant' })
    const DPoP = client.getDPoPHandle(rp, await client.randomDPoPKeyPair('ES256'))
    assert.ok((await redeem({}, {}, { DPoP })).access_token)
  })

  it('is as it was after it came with a proof that was used before', async () => {
    const { privateKey, publicKey } = await generateKeyPair('ES256')
    const dpop = await new SignJWT({ jti: 'once', htm: 'POST', htu: `${keyturn.issuer}/token` })
      .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: await exportJWK(publicKey) })
      .setIssuedAt()
      .sign(privateKey)
    const [one, other] = [await withCode(), await withCode()]
    assert.equal((await ask(one.right, { dpop })).status, 200)
    assert.equal((await ask(other.right, { dpop })).error, 'invalid_grant')
    assert.ok((await other.redeem()).access_token)
  })
})

describe('a pushed authorization request', () => {
  it('is as it was after another client came with it, and after nobody was signed in', async () => {
    const rp = await discoverAs(keyturn.issuer, 'web')
    const verifier = client.randomPKCECodeVerifier()
    const url = await client.buildAuthorizationUrlWithPAR(rp, {
      redirect_uri: REDIRECT_URI,
      scope: 'openid',
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    })
    const foreign = new URL(url)
    foreign.searchParams.set('client_id', 'web-es256')
    const refused = (await createUserAgent().request(foreign.href)).headers.get('location') ?? ''
    assert.match(refused, /[?&]error=invalid_/)
    const silent = new URL(url)
    silent.searchParams.set('prompt', 'none')
    await createUserAgent().request(silent.href)
    const { callback } = await signIn(createUserAgent(), url.href, PERSON)
    assert.ok(await client.authorizationCodeGrant(rp, callback, { pkceCodeVerifier: verifier }))
  })
})

describe('a client assertion', () => {
  it('counts as used although its request was refused: who saw it could use it otherwise', async () => {
    const assertion = await new SignJWT({ jti: 'an assertion' })
      .setProtectedHeader({ alg: 'ES256' })
      .setIssuer('assertive')
      .setSubject('assertive')
      .setAudience(keyturn.issuer)
      .setIssuedAt()
      .setExpirationTime('1m')
      .sign(signing.privateKey)
    const ask = async (resource: string) => {
      const answer = await fetch(`${keyturn.issuer}/token`, {
        method: 'POST',
        body: new URLSearchParams({
          grant_type: 'client_credentials',
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
          client_assertion: assertion,
          resource,
        }),
      })
      return ((await answer.json()) as { error?: string }).error
    }
    assert.equal(await ask(UNKNOWN), 'invalid_target')
    assert.equal(await ask(API), 'invalid_client')
  })
})
