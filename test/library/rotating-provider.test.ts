import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { exportJWK, generateKeyPair, type JWK, jwtVerify } from 'jose'
import { openRotatingProvider, type RotatingProvider } from '../../src/library/oidc-provider.ts'
import { createMemoryKeyStore, environmentProtector } from '../../src/library/ring.ts'

const SECRET = 'a-secret-of-the-tests-that-is-long-enough'
const client = {
  client_id: 'job',
  client_secret: SECRET,
  grant_types: ['client_credentials'],
  redirect_uris: [],
  response_types: [],
}
const resourceIndicators = {
  enabled: true,
  defaultResource: () => 'urn:api',
  getResourceServerInfo: () => ({
    scope: 'read',
    accessTokenFormat: 'jwt' as const,
    jwt: { sign: { alg: 'RS256' as const } },
  }),
}

describe('an oidc-provider application with a ring', () => {
  let own: JWK
  const protector = environmentProtector(randomBytes(32).toString('base64url'))
  let rotating: RotatingProvider
  let url: string
  const server = createServer((request, response) => rotating.callback()(request, response))

  before(async () => {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const pair = await generateKeyPair('RS256', { extractable: true })
    own = await exportJWK(pair.privateKey)
    rotating = await openRotatingProvider({
      issuer: url,
      configuration: {
        clients: [client],
        features: { clientCredentials: { enabled: true }, resourceIndicators },
      },
      store: createMemoryKeyStore(),
      protector,
      firstKeys: { keys: [own] },
    })
  })
  after(async () => {
    server.close()
    await rotating.close()
  })

  const getToken = async () => {
    const response = await fetch(`${url}/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${btoa(`job:${SECRET}`)}` },
      body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'read' }),
    })
    assert.equal(response.status, 200)
    return ((await response.json()) as { access_token: string }).access_token
  }
  const getJwks = async () => {
    const response = await fetch(`${url}/jwks`)
    return { response, jwks: (await response.json()) as { keys: readonly JWK[] } }
  }
  const verify = async (token: string) => {
    const { jwks } = await getJwks()
    const key = async ({ kid }: { kid?: string }) => {
      const found = jwks.keys.find((candidate) => candidate.kid === kid)
      assert.ok(found, `the JWKS has ${kid}`)
      return found
    }
    return jwtVerify(token, key, { issuer: url, audience: 'urn:api' })
  }

  it('goes on signing with the key that the application had, and publishes a standby', async () => {
    const { jwks } = await getJwks()
    assert.deepEqual(
      jwks.keys.map(({ n }) => n === own.n),
      [true, false],
    )
    const { protectedHeader } = await verify(await getToken())
    assert.equal(protectedHeader.kid, jwks.keys[0]?.kid)
  })

  it('answers 304 for a JWKS that is known', async () => {
    const { response } = await getJwks()
    assert.match(response.headers.get('cache-control') ?? '', /^public, max-age=\d+$/)
    const again = await fetch(`${url}/jwks`, {
      headers: { 'if-none-match': response.headers.get('etag') ?? '' },
    })
    assert.equal(again.status, 304)
  })

  it('answers requests for the JWKS as a server of Keyturn does', async () => {
    const full = await fetch(`${url}/jwks?x=1`)
    const length = (await full.arrayBuffer()).byteLength
    assert.ok(length > 0)
    const head = await fetch(`${url}/jwks`, { method: 'HEAD' })
    assert.equal(head.headers.get('etag'), full.headers.get('etag'))
    assert.equal(await head.text(), '')
    const weak = { 'if-none-match': `"x", W/${full.headers.get('etag')}` }
    assert.equal((await fetch(`${url}/jwks`, { headers: weak })).status, 304)
    const refused = await fetch(`${url}/jwks`, { method: 'POST', body: 'x' })
    assert.equal(refused.status, 405)
    assert.equal(refused.headers.get('allow'), 'GET, HEAD, OPTIONS')
    const preflight = await fetch(`${url}/jwks`, {
      method: 'OPTIONS',
      headers: { 'access-control-request-method': 'GET', origin: 'https://other.example' },
    })
    assert.equal(preflight.status, 204)
    assert.equal(preflight.headers.get('access-control-allow-origin'), '*')
  })

  it('signs with the next key after a promotion, and old tokens verify', async () => {
    const before = await getToken()
    const standby = rotating.ring.keys().find(({ phase }) => phase === 'pre-active')
    assert.ok(standby)
    const order = { actor: 'test', reason: 'a rotation' }
    await rotating.ring.promote(standby.kid, { ...order, force: true })
    const { protectedHeader } = await verify(await getToken())
    assert.equal(protectedHeader.kid, standby.kid)
    await verify(before)
  })

  it('refuses a key that no ring of the policy takes', async () => {
    const { privateKey } = await generateKeyPair('ES256', { extractable: true })
    const firstKeys = { keys: [await exportJWK(privateKey)] }
    await assert.rejects(
      openRotatingProvider({ issuer: url, store: createMemoryKeyStore(), protector, firstKeys }),
      /no ring takes key without kid \(kty EC, alg not given\)\. Add its algorithm/,
    )
  })
})
