import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose'
import * as client from 'openid-client'
import { authorizationRequest, discoverAs } from '../../lab/relying-party.ts'
import { PERSON, REDIRECT_URI, SECRET, startTestServer, type TestServer } from '../../lab/server.ts'
import { createUserAgent, signIn, type UserAgent } from '../../lab/user-agent.ts'
import { systemClock } from '../../src/clock.ts'
import { openStores } from '../../src/server/stores.ts'
import { until } from '../support/redis.ts'

/** Keyturn's own properties of clients, each as relying parties on openid-client meet it. */

const ORDERS = 'https://orders.example'
const SIGNED = { RS256: ORDERS, ES256: 'https://es256.example', Ed25519: 'https://ed25519.example' }
const OPAQUE = 'https://opaque.example'
const SPRING = 'https://spring.example'
const QUICK = 'https://quick.example'
const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code'

const RESOURCES = [
  ...Object.entries(SIGNED).map(([algorithm, identifier]) => ({
    identifier,
    scopes: ['read', 'write'],
    algorithm,
  })),
  { identifier: OPAQUE, scopes: ['read'], tokenFormat: 'opaque' },
  { identifier: SPRING, scopes: ['read'], typ: 'JWT', audience: 'spring' },
  { identifier: QUICK, scopes: ['read'], tokenLifetime: '2m' },
]
const ALL = Object.fromEntries(RESOURCES.map(({ identifier, scopes }) => [identifier, scopes]))

const web = {
  client_secret: SECRET,
  redirect_uris: [REDIRECT_URI],
  grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
  scope: 'openid profile email offline_access',
  resources: ALL,
}
const { client_secret: _, ...withoutSecret } = web
const publicWeb = {
  ...withoutSecret,
  grant_types: ['authorization_code', 'refresh_token'],
  token_endpoint_auth_method: 'none',
}
const CLIENTS = [
  { ...web, client_id: 'plain' },
  ...RESOURCES.map(({ identifier }) => ({
    ...web,
    client_id: `default ${identifier}`,
    default_resource: identifier,
  })),
  { ...web, client_id: 'dpop', default_resource: ORDERS, dpop_bound_access_tokens: true },
  { ...web, client_id: 'own', consent: 'skip' },
  { ...web, client_id: 'own-default', consent: 'skip', default_resource: ORDERS },
  {
    ...publicWeb,
    client_id: 'own-app',
    consent: 'skip',
    application_type: 'native',
    redirect_uris: ['https://app.example/callback'],
  },
  { ...web, client_id: 'offline', offline_access_without_prompt: true },
  { ...web, client_id: 'claims', claims_in_id_token: true },
  { ...web, client_id: 'always', refresh_token_rotation: 'always' },
  { ...web, client_id: 'never', refresh_token_rotation: 'never' },
  { ...publicWeb, client_id: 'spa' },
  {
    ...web,
    client_id: 'short',
    access_token_lifetime: '3m',
    id_token_lifetime: '4m',
    refresh_token_lifetime: '5m',
  },
  {
    ...publicWeb,
    client_id: 'tv',
    redirect_uris: [],
    response_types: [],
    grant_types: [DEVICE, 'refresh_token'],
    default_resource: ORDERS,
  },
]

let keyturn: TestServer
before(async () => {
  const rings = { 'sig/RS256': {}, 'sig/ES256': {}, 'sig/Ed25519': {} }
  const tokens = { pushedAuthorizationRequest: '20s' }
  const settings = { resources: RESOURCES, clients: CLIENTS, rotation: { rings }, tokens }
  keyturn = await startTestServer({ settings })
})
after(() => keyturn[Symbol.asyncDispose]())

const jwks = () => createRemoteJWKSet(new URL(`${keyturn.issuer}/jwks`))
const isPublic = (id: string) =>
  CLIENTS.some((c) => c.client_id === id && 'token_endpoint_auth_method' in c)
const discover = (id: string) =>
  discoverAs(keyturn.issuer, id, isPublic(id) ? client.None() : SECRET)

/** @returns what a person was asked, and what redeems the code */
async function authorize(id: string, wishes: Record<string, string>, agent = createUserAgent()) {
  const rp = await discover(id)
  const { url, redeem } = await authorizationRequest(rp, wishes)
  const { callback, steps } = await signIn(agent, url, PERSON)
  const error = callback.searchParams.get('error')
  return { rp, steps, error, redeem: (more?: Record<string, string>) => redeem(callback, {}, more) }
}

async function tokensOf(id: string, wishes: Record<string, string>, agent?: UserAgent) {
  const { rp, steps, redeem } = await authorize(id, wishes, agent)
  return { rp, steps, tokens: await redeem() }
}

const person = (rp: client.Configuration, token: string, options?: client.DPoPOptions) =>
  client.fetchUserInfo(rp, token, client.skipSubjectCheck, options)

describe('a client with a default API', () => {
  for (const [algorithm, api] of Object.entries(SIGNED)) {
    it(`gets ${algorithm} JWTs for it without naming it, which userinfo answers`, async () => {
      const { rp, tokens } = await tokensOf(`default ${api}`, { scope: 'openid profile read' })
      const { payload, protectedHeader } = await jwtVerify(tokens.access_token, jwks(), {
        audience: api,
        typ: 'at+jwt',
      })
      assert.equal(protectedHeader.alg, algorithm)
      assert.deepEqual(
        new Set(String(payload.scope).split(' ')),
        new Set(['openid', 'profile', 'read']),
      )
      assert.equal(tokens.scope, payload.scope, 'the answer says the same')
      const claims = await person(rp, tokens.access_token)
      assert.deepEqual(
        [claims.sub, claims.name, claims.email],
        [payload.sub, 'Ada Lovelace', undefined],
      )
      assert.equal(tokens.claims()?.name, undefined, 'the ID token need not have them')
    })
  }

  for (const api of [OPAQUE, SPRING]) {
    it(`reads userinfo with a token for ${api} too`, async () => {
      const { rp, tokens } = await tokensOf(`default ${api}`, { scope: 'openid email read' })
      assert.equal((await person(rp, tokens.access_token)).email, 'ada@example.com')
    })
  }

  it('asks for each scope once, and shows none of OpenID at the API', async () => {
    const agent = createUserAgent()
    const id = `default ${ORDERS}`
    const first = await authorize(id, { scope: 'openid email read' }, agent)
    await first.redeem()
    assert.deepEqual((await authorize(id, { scope: 'openid email read' }, agent)).steps, [])
    const elsewhere = await authorize(id, { scope: 'openid email read' })
    assert.deepEqual(elsewhere.steps, ['sign-in'])
    const { tokens } = await tokensOf(id, { scope: 'openid email' })
    assert.deepEqual(tokens.scope?.split(' ').sort(), ['email', 'openid'])
  })

  it('gets what the claims parameter asks of userinfo', async () => {
    for (const api of [ORDERS, OPAQUE]) {
      const claims = JSON.stringify({ userinfo: { email: null } })
      const { rp, tokens } = await tokensOf(`default ${api}`, { scope: 'openid', claims })
      const { email, name } = await person(rp, tokens.access_token)
      assert.deepEqual([email, name], ['ada@example.com', undefined])
    }
  })

  it('gets a token for another API where it names one, which userinfo refuses and the ID token makes up for', async () => {
    const resource = SIGNED.ES256
    const wishes = { scope: 'openid profile read', resource }
    const { rp, tokens } = await tokensOf(`default ${ORDERS}`, wishes)
    assert.deepEqual(decodeJwt(tokens.access_token).aud, resource)
    assert.equal(tokens.scope, 'read')
    assert.equal(tokens.claims()?.name, 'Ada Lovelace')
    await assert.rejects(person(rp, tokens.access_token))
  })

  it('keeps both after a refresh, and for less where it asks for less', async () => {
    const wishes = { scope: 'openid profile read write offline_access', prompt: 'consent' }
    const { rp, tokens } = await tokensOf(`default ${ORDERS}`, wishes)
    const refreshed = await client.refreshTokenGrant(rp, tokens.refresh_token ?? '')
    assert.equal(decodeJwt(refreshed.access_token).aud, ORDERS)
    assert.equal((await person(rp, refreshed.access_token)).name, 'Ada Lovelace')
    const less = await client.refreshTokenGrant(
      rp,
      refreshed.refresh_token ?? tokens.refresh_token ?? '',
      {
        scope: 'read',
      },
    )
    assert.equal(less.scope, 'read')
    await assert.rejects(person(rp, less.access_token))
  })

  it('gets such tokens on a device', async () => {
    const tv = await discover('tv')
    const { user_code, device_code } = await client.initiateDeviceAuthorization(tv, {
      scope: 'openid profile read',
    })
    await connect(user_code)
    const tokens = await client.genericGrantRequest(tv, DEVICE, { device_code })
    assert.equal(decodeJwt(tokens.access_token).aud, ORDERS)
    assert.equal((await person(tv, tokens.access_token)).name, 'Ada Lovelace')
  })

  it('gets one for itself that has no OpenID scopes', async () => {
    const rp = await discover(`default ${ORDERS}`)
    const tokens = await client.clientCredentialsGrant(rp, { scope: 'read openid' })
    assert.deepEqual([decodeJwt(tokens.access_token).aud, tokens.scope], [ORDERS, 'read'])
    await assert.rejects(person(rp, tokens.access_token))
  })

  it('proves its DPoP key at userinfo', async () => {
    const rp = await discover('dpop')
    const key = client.getDPoPHandle(rp, await client.randomDPoPKeyPair('ES256'))
    const verifier = client.randomPKCECodeVerifier()
    const url = client.buildAuthorizationUrl(rp, {
      redirect_uri: REDIRECT_URI,
      scope: 'openid profile',
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    })
    const { callback } = await signIn(createUserAgent(), url.href, PERSON)
    const checks = { pkceCodeVerifier: verifier }
    const { access_token } = await client.authorizationCodeGrant(
      rp,
      callback,
      checks,
      {},
      { DPoP: key },
    )
    assert.equal((await person(rp, access_token, { DPoP: key })).name, 'Ada Lovelace')
    const other = client.getDPoPHandle(rp, await client.randomDPoPKeyPair('ES256'))
    await assert.rejects(person(rp, access_token, { DPoP: other }))
    await assert.rejects(person(rp, access_token))
  })

  it('is refused at userinfo with an edited, a foreign, an ID or a revoked token, and after the grant', async () => {
    const wishes = { scope: 'openid profile offline_access', prompt: 'consent' }
    const { rp, tokens } = await tokensOf(`default ${ORDERS}`, wishes)
    const [header = '', payload = '', signature = ''] = tokens.access_token.split('.')
    const edited = { ...decodeJwt(tokens.access_token), scope: 'openid profile email' }
    const forged = Buffer.from(JSON.stringify(edited)).toString('base64url')
    for (const token of [
      `${header}.${forged}.${signature}`,
      `${header}.${payload}.`,
      `${Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url')}.${payload}.`,
      tokens.id_token ?? '',
      'a.b.c',
      '..',
    ]) {
      await assert.rejects(person(rp, token), token)
    }
    assert.equal((await person(rp, tokens.access_token)).name, 'Ada Lovelace')
    await client.tokenRevocation(rp, tokens.access_token)
    await assert.rejects(person(rp, tokens.access_token))

    const again = await tokensOf(`default ${ORDERS}`, wishes)
    assert.ok((await person(rp, again.tokens.access_token)).name)
    await client.tokenRevocation(rp, again.tokens.refresh_token ?? '')
    await assert.rejects(person(rp, again.tokens.access_token))
  })
})

/** The person types the code of a device, signs in and agrees. */
async function connect(code: string): Promise<string> {
  const agent = createUserAgent()
  const { issuer } = keyturn
  const at = `${issuer}/device`
  let { url, page } = await agent.open(at, issuer)
  const xsrf = async () => /name="xsrf" value="([^"]+)"/.exec((await page?.text()) ?? '')?.[1] ?? ''
  ;({ url, page } = await agent.submit(at, issuer, { xsrf: await xsrf(), user_code: code }))
  const form = { xsrf: await xsrf(), user_code: code, confirm: 'yes' }
  ;({ url, page } = await agent.submit(at, issuer, form))
  for (let step = 0; page && url.includes('/interaction/') && step < 4; step++) {
    const isSignIn = (await page.text()).includes('name="password"')
    const fields = isSignIn ? { ...PERSON, action: 'sign-in' } : { action: 'allow' }
    ;({ url, page } = await agent.submit(url, issuer, fields))
  }
  return (await page?.text()) ?? ''
}

describe('a client without a default API', () => {
  it('gets an opaque token, which userinfo answers, and one for an API where it names it twice', async () => {
    const { rp, tokens } = await tokensOf('plain', { scope: 'openid profile' })
    assert.doesNotMatch(tokens.access_token, /\./)
    assert.equal((await person(rp, tokens.access_token)).name, 'Ada Lovelace')
    const both = await authorize('plain', { scope: 'openid profile read', resource: ORDERS })
    const forApi = await both.redeem({ resource: ORDERS })
    assert.equal(decodeJwt(forApi.access_token).scope, 'read')
    assert.equal(forApi.claims()?.name, 'Ada Lovelace', 'userinfo would refuse it')
  })

  it('may call the API audience in both requests', async () => {
    const { redeem } = await authorize('plain', { scope: 'openid read', audience: 'spring' })
    assert.equal(decodeJwt((await redeem({ audience: 'spring' })).access_token).aud, 'spring')
    const other = await authorize('plain', { scope: 'openid read', audience: 'spring' })
    await assert.rejects(other.redeem({ audience: ORDERS }), { error: 'invalid_target' })
    const none = await authorize('plain', { scope: 'openid' })
    await assert.rejects(none.redeem({ audience: ORDERS }), { error: 'invalid_target' })
  })
})

describe('consent: skip', () => {
  it('asks nothing, whatever the application asks for', async () => {
    const agent = createUserAgent()
    const claims = JSON.stringify({ id_token: { email: null } })
    const first = await authorize('own', { scope: 'openid profile', claims }, agent)
    assert.deepEqual(first.steps, ['sign-in'])
    assert.equal((await first.redeem()).claims()?.email, 'ada@example.com')
    const wishes = {
      scope: 'openid read write offline_access',
      prompt: 'consent',
      resource: ORDERS,
    }
    const more = await authorize('own', wishes, agent)
    assert.deepEqual(more.steps, [])
    const tokens = await more.redeem({ resource: ORDERS })
    assert.equal(tokens.scope, 'read write')
    assert.ok(tokens.refresh_token)
  })

  it('gives a default API and userinfo without a question', async () => {
    const { rp, steps, tokens } = await tokensOf('own-default', { scope: 'openid profile read' })
    assert.deepEqual(steps, ['sign-in'])
    assert.equal((await person(rp, tokens.access_token)).name, 'Ada Lovelace')
  })

  it('gives no scope and no API that the client does not list', async () => {
    for (const [wishes, error] of [
      [{ scope: 'openid phone' }, 'invalid_scope'],
      [{ scope: 'openid read', resource: 'https://unknown.example' }, 'invalid_target'],
      [{ scope: 'openid read' }, 'invalid_target'],
    ] as const) {
      assert.equal((await authorize('own', wishes)).error, error)
    }
  })

  it('asks nothing for an app whose redirect URI is its own', async () => {
    const rp = await discover('own-app')
    const { url } = await authorizationRequest(rp, { redirect_uri: 'https://app.example/callback' })
    assert.deepEqual((await signIn(createUserAgent(), url, PERSON)).steps, ['sign-in'])
  })
})

describe('refresh tokens', () => {
  it('need prompt=consent, or offline_access_without_prompt', async () => {
    const scope = 'openid offline_access'
    const without = await tokensOf('plain', { scope })
    assert.deepEqual([without.tokens.refresh_token, without.tokens.scope], [undefined, 'openid'])
    const { tokens } = await tokensOf('offline', { scope })
    assert.ok(tokens.refresh_token)
    assert.equal(tokens.scope, scope)
    const none = await tokensOf('offline', { scope: 'openid' })
    assert.equal(none.tokens.refresh_token, undefined, 'it has to ask')
  })

  it('come without prompt by a pushed request too, beside an API', async () => {
    const rp = await discover('offline')
    const verifier = client.randomPKCECodeVerifier()
    const url = await client.buildAuthorizationUrlWithPAR(rp, {
      redirect_uri: REDIRECT_URI,
      scope: 'openid offline_access read',
      resource: ORDERS,
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    })
    const { callback } = await signIn(createUserAgent(), url.href, PERSON)
    const tokens = await client.authorizationCodeGrant(rp, callback, { pkceCodeVerifier: verifier })
    assert.ok(tokens.refresh_token)
  })

  const rotates = async (id: string) => {
    const wishes = { scope: 'openid offline_access', prompt: 'consent' }
    const { rp, tokens } = await tokensOf(id, wishes)
    const refreshed = await client.refreshTokenGrant(rp, tokens.refresh_token ?? '')
    return refreshed.refresh_token !== tokens.refresh_token
  }
  for (const [id, expected] of [
    ['plain', false],
    ['always', true],
    ['never', false],
    ['spa', true],
  ] as const) {
    it(`of the client ${id} ${expected ? 'rotate' : 'stay'}`, async () => {
      assert.equal(await rotates(id), expected)
    })
  }

  it('are not used up by a refresh that is refused', async () => {
    const { rp, redeem } = await authorize('spa', {
      scope: 'openid offline_access read',
      prompt: 'consent',
      resource: ORDERS,
    })
    const { refresh_token: token = '' } = await redeem({ resource: ORDERS })
    for (const [wrong, error] of [
      [{ resource: SIGNED.ES256 }, 'invalid_target'],
      [{ resource: 'https://unknown.example' }, 'invalid_target'],
      [{ scope: 'openid read' }, 'invalid_target'],
      [{ scope: 'openid write' }, 'invalid_scope'],
      [{ audience: 'nobody' }, 'invalid_target'],
    ] as const) {
      await assert.rejects(
        client.refreshTokenGrant(rp, token, wrong),
        { error },
        JSON.stringify(wrong),
      )
    }
    const refreshed = await client.refreshTokenGrant(rp, token, { resource: ORDERS })
    assert.equal(refreshed.scope, 'read')
  })

  it('give no more what was taken from the client', async () => {
    const stores = (await openStores(keyturn.config, systemClock)).of(keyturn.config.issuer)
    const id = 'narrowed'
    const metadata = { ...web, client_id: id, response_types: ['code'] }
    await stores.clients.add(metadata)
    const rp = await discover(id)
    const wishes = {
      scope: 'openid email offline_access read',
      prompt: 'consent',
      resource: ORDERS,
    }
    const { redeem } = await authorize(id, wishes)
    const { refresh_token: token = '' } = await redeem({ resource: ORDERS })
    await stores.clients.replaceConfigured([
      ...keyturn.config.clients,
      { ...metadata, scope: 'openid offline_access', resources: { [ORDERS]: ['write'] } },
    ])
    await stores.close()
    await until('the change is seen', async () => {
      const { scope } = await client.refreshTokenGrant(rp, token)
      return scope === 'openid offline_access'
    })
    const forApi = await client.refreshTokenGrant(rp, token, { resource: ORDERS })
    assert.equal(forApi.scope, '')
  })
})

describe('claims of scopes', () => {
  it('are in the ID token of a client that wants them, after a refresh too', async () => {
    const wishes = { scope: 'openid profile email offline_access', prompt: 'consent' }
    const { rp, tokens } = await tokensOf('claims', wishes)
    assert.deepEqual(
      [tokens.claims()?.name, tokens.claims()?.email],
      ['Ada Lovelace', 'ada@example.com'],
    )
    const refreshed = await client.refreshTokenGrant(rp, tokens.refresh_token ?? '')
    assert.equal(refreshed.claims()?.email, 'ada@example.com')
    const fewer = await tokensOf('claims', { scope: 'openid email' })
    assert.equal(fewer.tokens.claims()?.name, undefined)
  })

  it('are at userinfo alone for others, but for what the claims parameter asks', async () => {
    const claims = JSON.stringify({ id_token: { email: { essential: true } } })
    const { tokens } = await tokensOf('plain', { scope: 'openid profile', claims })
    assert.deepEqual(
      [tokens.claims()?.name, tokens.claims()?.email],
      [undefined, 'ada@example.com'],
    )
  })
})

describe('lifetimes', () => {
  const left = (token = '') => {
    const { exp = 0, iat = 0 } = decodeJwt(token)
    return exp - iat
  }
  const own = async (id: string, resource?: string) => {
    const wishes = resource === undefined ? {} : { resource }
    return (await client.clientCredentialsGrant(await discover(id), wishes)).expires_in
  }

  it('of a token that a client gets for itself hold for APIs', async () => {
    assert.equal(await own('plain'), 600, 'tokens.clientCredentials')
    assert.equal(await own('plain', ORDERS), 600)
    assert.equal(await own('plain', OPAQUE), 600)
    assert.equal(await own('plain', QUICK), 120, 'the API allows no longer')
    assert.equal(await own('short'), 180)
    assert.equal(await own('short', ORDERS), 180)
    assert.equal(await own('short', QUICK), 120)
  })

  it('of the tokens of people are those of the client, and of the API where that is shorter', async () => {
    const wishes = { scope: 'openid read offline_access', prompt: 'consent' }
    const { redeem } = await authorize('short', { ...wishes, resource: QUICK })
    const quick = await redeem({ resource: QUICK })
    assert.deepEqual(
      [quick.expires_in, left(quick.access_token), left(quick.id_token)],
      [120, 120, 240],
    )
    const { rp, tokens } = await tokensOf('short', {
      scope: 'openid offline_access',
      prompt: 'consent',
    })
    assert.deepEqual([tokens.expires_in, left(tokens.id_token)], [180, 240])
    const answer = await client.tokenIntrospection(rp, tokens.refresh_token ?? '')
    assert.equal((answer.exp ?? 0) - (answer.iat ?? 0), 300)
    const plain = await tokensOf('plain', { scope: 'openid' })
    assert.deepEqual([plain.tokens.expires_in, left(plain.tokens.id_token)], [3600, 3600])
  })
})

describe('a pushed authorization request', () => {
  it('lives as long as is configured', async (t) => {
    const base = { client_id: 'plain', redirect_uri: REDIRECT_URI, response_type: 'code' }
    const wishes = { ...base, scope: 'openid' }
    const answer = await fetch(`${keyturn.issuer}/request`, {
      method: 'POST',
      headers: { authorization: `Basic ${btoa(`plain:${SECRET}`)}` },
      body: new URLSearchParams(wishes),
    })
    const text = await answer.text()
    assert.equal(answer.status, 201, text)
    const { expires_in, request_uri } = JSON.parse(text) as Record<string, string | number>
    assert.equal(expires_in, 20)
    const query = new URLSearchParams({ client_id: 'plain', request_uri: String(request_uri) })
    const open = async () => fetch(`${keyturn.issuer}/auth?${query}`, { redirect: 'manual' })
    assert.match((await open()).headers.get('location') ?? '', /interaction/)
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() + 21_000 })
    const { searchParams } = new URL((await open()).headers.get('location') ?? '')
    assert.equal(searchParams.get('error'), 'invalid_request_uri')
  })
})

describe('the typ of JWT access tokens', () => {
  it('is that of RFC 9068, or JWT where the API says so', async () => {
    const rp = await discover('plain')
    const typ = async (resource: string) => {
      const { access_token } = await client.clientCredentialsGrant(rp, { resource, scope: 'read' })
      await jwtVerify(access_token, jwks())
      return decodeProtectedHeader(access_token).typ
    }
    assert.equal(await typ(ORDERS), 'at+jwt')
    assert.equal(await typ(SPRING), 'JWT')
    const { access_token } = await client.clientCredentialsGrant(rp, { resource: SPRING })
    assert.equal((await client.tokenIntrospection(rp, access_token)).active, true)
  })
})
