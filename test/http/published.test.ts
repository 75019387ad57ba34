import assert from 'node:assert/strict'
import { request as httpRequest } from 'node:http'
import { after, before, describe, it } from 'node:test'
import { createRemoteJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import { SECRET, startTestServer, type TestServer } from '../../lab/server.ts'

let keyturn: TestServer
before(async () => {
  keyturn = await startTestServer()
})
after(() => keyturn[Symbol.asyncDispose]())

const get = (path: string, init?: RequestInit) => fetch(`${keyturn.issuer}${path}`, init)
const DISCOVERY = '/.well-known/openid-configuration'

describe('the JWKS', () => {
  it('shows ring by ring, each key with kid, alg and use, and nothing private', async () => {
    const { keys } = (await (await get('/jwks')).json()) as { keys: Record<string, string>[] }
    assert.deepEqual(
      keys.map((key) => key.alg),
      ['RS256', 'RS256', 'ES256', 'ES256'],
    )
    const known = new Set(['kty', 'kid', 'alg', 'use', 'n', 'e', 'crv', 'x', 'y'])
    for (const key of keys) {
      assert.deepEqual(
        Object.keys(key).filter((name) => !known.has(name)),
        [],
      )
      assert.ok(key.kid && key.use === 'sig')
    }
  })

  it('may be cached as long as the policy says, never longer than until its next change', async () => {
    const { headers } = await get('/jwks')
    assert.equal(
      headers.get('cache-control'),
      'public, max-age=900, stale-while-revalidate=60, stale-if-error=86400',
    )
    assert.equal(headers.get('content-type'), 'application/jwk-set+json; charset=utf-8')
    assert.equal(headers.get('access-control-allow-origin'), '*')
    assert.equal(headers.get('set-cookie'), null)
  })

  it('answers a conditional request with 304 and the same headers', async () => {
    const etag = (await get('/jwks')).headers.get('etag') ?? ''
    assert.match(etag, /^"[\w-]{43}"$/)
    for (const value of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
      const answer = await get('/jwks', { headers: { 'if-none-match': value } })
      assert.equal(answer.status, 304, value)
      assert.equal(answer.headers.get('etag'), etag)
      assert.match(answer.headers.get('cache-control') ?? '', /max-age=900/)
      assert.equal(await answer.text(), '')
    }
    assert.equal((await get('/jwks', { headers: { 'if-none-match': '"other"' } })).status, 200)
  })

  it('answers HEAD like GET without a body, and a query like none', async () => {
    const [full, head] = [await get('/jwks'), await get('/jwks', { method: 'HEAD' })]
    assert.equal(head.headers.get('content-length'), String((await full.arrayBuffer()).byteLength))
    assert.equal(head.headers.get('etag'), full.headers.get('etag'))
    assert.equal((await get('/jwks?x=1')).headers.get('etag'), full.headers.get('etag'))
  })

  it('refuses other methods and says which it takes', async () => {
    const answer = await get('/jwks', { method: 'POST', body: 'x' })
    assert.equal(answer.status, 405)
    assert.equal(answer.headers.get('allow'), 'GET, HEAD, OPTIONS')
  })
})

describe('discovery', () => {
  it('is the same at both well-known paths and names only what works', async () => {
    const [a, b] = [await get(DISCOVERY), await get('/.well-known/oauth-authorization-server')]
    const document = (await a.json()) as Record<string, unknown>
    assert.deepEqual(await b.json(), document)
    assert.equal(document.issuer, keyturn.issuer)
    assert.equal(document.jwks_uri, `${keyturn.issuer}/jwks`)
    assert.equal(document.userinfo_endpoint, `${keyturn.issuer}/userinfo`)
    assert.deepEqual(document.id_token_signing_alg_values_supported, ['RS256', 'ES256'])
    assert.equal(a.headers.get('cache-control'), 'public, max-age=3600')
  })

  it('cannot be made to name another host', async () => {
    const { port } = new URL(keyturn.issuer)
    const headers = {
      host: 'evil.example',
      'x-forwarded-host': 'evil.example',
      'x-forwarded-proto': 'https',
    }
    const read = (path: string) =>
      new Promise<string>((resolve, reject) => {
        httpRequest({ host: 'localhost', port, path, headers }, (response) => {
          let text = JSON.stringify(response.headers)
          response.on('data', (chunk) => {
            text += chunk
          })
          response.on('end', () => resolve(text))
        })
          .on('error', reject)
          .end()
      })
    for (const path of [
      DISCOVERY,
      '/auth?client_id=web&response_type=code&scope=openid',
      '/session/end',
      '/device',
    ]) {
      assert.ok(!(await read(path)).includes('evil.example'), path)
    }
  })
})

describe('a server whose issuer has a path', () => {
  it('answers below it, and at the well-known path of RFC 8414', async () => {
    await using server = await startTestServer({ path: '/op' })
    const { origin } = new URL(server.issuer)
    const text = await (await fetch(`${server.issuer}${DISCOVERY}`)).text()
    assert.equal(JSON.parse(text).issuer, server.issuer)
    assert.equal(JSON.parse(text).token_endpoint, `${server.issuer}/token`)
    const rfc8414 = await fetch(`${origin}/.well-known/oauth-authorization-server/op`)
    assert.equal(await rfc8414.text(), text)
    assert.equal((await fetch(`${server.issuer}/jwks`)).status, 200)
    assert.equal((await fetch(`${origin}/jwks`)).status, 404)
    assert.equal((await fetch(`${server.issuer}/token`, { method: 'POST' })).status, 400)
  })
})

describe('a server behind TLS', () => {
  it('gives secure cookies that are bound to its host, and https URLs', async () => {
    await using server = await startTestServer({ settings: { issuer: 'https://id.example' } })
    const query = new URLSearchParams({
      client_id: 'web',
      response_type: 'code',
      scope: 'openid',
      redirect_uri: 'http://localhost:9999/callback',
    })
    const answer = await fetch(`${server.server.url}/auth?${query}`, { redirect: 'manual' })
    assert.equal(answer.status, 303)
    const cookies = answer.headers.getSetCookie()
    assert.ok(cookies.length >= 2)
    for (const cookie of cookies) assert.match(cookie, /; secure/i)
    const discovery = await (await fetch(`${server.server.url}${DISCOVERY}`)).json()
    assert.equal(
      (discovery as { token_endpoint: string }).token_endpoint,
      'https://id.example/token',
    )
  })
})

describe('keys of types that not every relying party knows', () => {
  for (const [rareKeys, listed] of [
    ['listed', ['RSA', 'EC', 'OKP']],
    ['apart', ['RSA', 'EC']],
  ] as const) {
    it(`are in the JWKS as the setting says (${rareKeys}), and with all others at /jwks/all`, async () => {
      const rings = { 'sig/RS256': {}, 'sig/ES256': {}, 'sig/Ed25519': {} }
      const identifier = 'https://rare.example'
      const client = {
        ...{ client_id: 'rare', client_secret: SECRET, redirect_uris: [], response_types: [] },
        ...{ grant_types: ['client_credentials'], resources: { [identifier]: ['read'] } },
        default_resource: identifier,
      }
      await using server = await startTestServer({
        settings: {
          rotation: { rings, rareKeys },
          resources: [{ identifier, scopes: ['read'], algorithm: 'Ed25519' }],
          clients: [client],
        },
      })
      const types = async (path: string) => {
        const answer = await fetch(`${server.issuer}${path}`)
        assert.match(answer.headers.get('cache-control') ?? '', /max-age=900/)
        const { keys } = (await answer.json()) as JSONWebKeySet
        return [...new Set(keys.map(({ kty }) => kty))]
      }
      assert.deepEqual(await types('/jwks'), listed)
      assert.deepEqual(await types('/jwks/all'), ['RSA', 'EC', 'OKP'])

      const credentials = Buffer.from(`rare:${SECRET}`).toString('base64')
      const answer = await fetch(`${server.issuer}/token`, {
        method: 'POST',
        headers: { authorization: `Basic ${credentials}` },
        body: new URLSearchParams({ grant_type: 'client_credentials' }),
      })
      const { access_token: token } = (await answer.json()) as { access_token: string }
      const verifiedBy = async (path: string) =>
        (await jwtVerify(token, createRemoteJWKSet(new URL(`${server.issuer}${path}`)))).payload.aud
      assert.equal(await verifiedBy('/jwks/all'), identifier)
      if (rareKeys === 'listed') assert.equal(await verifiedBy('/jwks'), identifier)
      else await assert.rejects(verifiedBy('/jwks'), { code: 'ERR_JWKS_NO_MATCHING_KEY' })
    })
  }
})
