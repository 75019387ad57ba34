import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { CLIENTS, startTestServer, type TestServer } from '../../lab/server.ts'

/** Which pages may read the answers to requests that need a client. */

const page = (client_id: string, redirect_uris: readonly string[], more = {}) => ({
  client_id,
  redirect_uris,
  response_types: ['code'],
  grant_types: ['authorization_code', 'refresh_token'],
  token_endpoint_auth_method: 'none',
  ...more,
})
const NATIVE = { application_type: 'native' }

let keyturn: TestServer
before(async () => {
  keyturn = await startTestServer({
    settings: {
      clients: [
        ...CLIENTS,
        page('spa', ['https://app.example/callback', 'http://localhost:9998/callback']),
        page('native', ['http://127.0.0.1/callback', 'com.example.app:/callback'], NATIVE),
        page('native6', ['http://[::1]:4000/callback'], NATIVE),
      ],
    },
  })
})
after(() => keyturn[Symbol.asyncDispose]())

const PATHS = ['/token', '/token/revocation', '/token/introspection', '/request']

/** What the browser of a page is told of a request by a client. */
async function allowed(origin: string, client: string, path = '/token'): Promise<string | null> {
  const answer = await fetch(`${keyturn.issuer}${path}`, {
    method: 'POST',
    headers: { origin },
    body: new URLSearchParams({
      client_id: client,
      grant_type: 'refresh_token',
      refresh_token: 'x',
      token: 'x',
    }),
  })
  return answer.headers.get('access-control-allow-origin')
}

describe('a page that a client of a browser names', () => {
  for (const path of PATHS) {
    it(`may read ${path}`, async () => {
      assert.equal(await allowed('https://app.example', 'spa', path), 'https://app.example')
      assert.equal(await allowed('https://other.example', 'spa', path), null)
    })
  }

  it('is told from others by scheme, host and port', async () => {
    assert.equal(await allowed('http://localhost:9998', 'spa'), 'http://localhost:9998')
    for (const origin of [
      ...['http://app.example', 'https://app.example:8443', 'https://app.example.evil.example'],
      ...['http://localhost:9997', 'http://localhost', 'https://localhost:9998'],
    ]) {
      assert.equal(await allowed(origin, 'spa'), null, origin)
    }
  })
})

describe('a page of a native client on the loopback', () => {
  it('may be at any port of the address that the client names', async () => {
    for (const origin of ['http://127.0.0.1:51004', 'http://127.0.0.1', 'http://127.0.0.1:8080']) {
      assert.equal(await allowed(origin, 'native'), origin)
    }
    assert.equal(await allowed('http://[::1]:51004', 'native6'), 'http://[::1]:51004')
  })

  it('is at no other address, where its code is not sent either', async () => {
    for (const origin of [
      ...['http://localhost:51004', 'http://[::1]:51004', 'https://127.0.0.1:51004'],
      ...['http://127.0.0.1.evil.example:51004', 'http://127.0.0.2:51004'],
    ]) {
      assert.equal(await allowed(origin, 'native'), null, origin)
    }
  })
})

describe('an origin that is nobody in particular', () => {
  const OPAQUE = ['null', 'com.example.app://callback', 'com.example.app:', 'file://', 'data:']

  for (const origin of OPAQUE) {
    it(`is never a client's page: ${origin}`, async () => {
      for (const path of PATHS) assert.equal(await allowed(origin, 'native', path), null)
    })
  }

  it('is not named to preflights, nor where a request fails before its client is known', async () => {
    for (const path of [...PATHS, '/userinfo', '/device/auth']) {
      assert.notEqual(await allowed('null', 'unknown', path), 'null')
      const preflight = await fetch(`${keyturn.issuer}${path}`, {
        method: 'OPTIONS',
        headers: { origin: 'null', 'access-control-request-method': 'POST' },
      })
      assert.equal(preflight.headers.get('access-control-allow-origin'), null, path)
    }
  })
})
