import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { CLIENTS, SECRET, startTestServer, type TestServer } from '../../lab/server.ts'

/** Public clients that send Basic credentials with an empty secret, as some libraries do. */

const PUBLIC = {
  application_type: 'native',
  token_endpoint_auth_method: 'none',
  redirect_uris: ['http://127.0.0.1/callback'],
  grant_types: ['authorization_code', 'urn:ietf:params:oauth:grant-type:device_code'],
  response_types: ['code'],
}
const IDS = ['mcp', 'https://client.example/a+b', 'with blank'] as const

let keyturn: TestServer
before(async () => {
  const clients = [...CLIENTS, ...IDS.map((client_id) => ({ ...PUBLIC, client_id }))]
  keyturn = await startTestServer({ settings: { clients } })
})
after(() => keyturn?.[Symbol.asyncDispose]())

/** As it should be (RFC 6749, section 2.3.1). */
const encode = (text: string) => encodeURIComponent(text).replaceAll('%20', '+')
const basic = (id: string, secret = '', scheme = 'Basic') => ({
  authorization: `${scheme} ${btoa(`${encode(id)}:${encode(secret)}`)}`,
})

async function post(
  path: string,
  parameters: Readonly<Record<string, string>> | string,
  headers: Readonly<Record<string, string>>,
) {
  const response = await fetch(`${keyturn.issuer}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body: typeof parameters === 'string' ? parameters : `${new URLSearchParams(parameters)}`,
  })
  const text = await response.text()
  return { status: response.status, body: text === '' ? {} : JSON.parse(text) }
}

const PAR = {
  response_type: 'code',
  redirect_uri: 'http://127.0.0.1/callback',
  scope: 'openid',
  code_challenge: 'x'.repeat(43),
  code_challenge_method: 'S256',
}

describe('a public client with an empty secret in the header', () => {
  for (const id of IDS) {
    it(`is let in everywhere, as ${id}`, async () => {
      const code = { grant_type: 'authorization_code', code: 'unknown' }
      assert.equal((await post('/token', code, basic(id))).body.error, 'invalid_grant')
      const unknown = { token: 'unknown' }
      assert.deepEqual(await post('/token/introspection', unknown, basic(id)), {
        status: 200,
        body: { active: false },
      })
      assert.equal((await post('/token/revocation', unknown, basic(id))).status, 200)
      assert.equal((await post('/request', PAR, basic(id))).status, 201)
      const device = await post('/device/auth', { scope: 'openid' }, basic(id, '', 'BASIC'))
      assert.equal(device.status, 200)
      const poll = { grant_type: PUBLIC.grant_types[1] ?? '', device_code: device.body.device_code }
      assert.equal((await post('/token/', poll, basic(id))).body.error, 'authorization_pending')
    })

    it(`may name itself in the content too, with an empty secret or none, as ${id}`, async () => {
      for (const more of [{}, { client_secret: '' }]) {
        const parameters = { ...PAR, client_id: id, ...more }
        assert.equal((await post('/request', parameters, basic(id))).status, 201)
      }
    })
  }

  it('is refused if the content names another, or proves something', async () => {
    const other = await post('/request', { ...PAR, client_id: 'tv' }, basic('mcp'))
    assert.deepEqual([other.status, other.body.error], [400, 'invalid_request'])
    for (const more of [{ client_secret: 'x' }, { client_assertion: 'x' }]) {
      const { status, body } = await post('/request', { ...PAR, ...more }, basic('mcp'))
      assert.deepEqual([status, body.error], [400, 'invalid_request'])
    }
  })

  it('is refused with a secret that it does not have', async () => {
    assert.equal((await post('/request', PAR, basic('mcp', 'guess'))).status, 401)
  })

  it('is told what is wrong where there is no content, or content of another type', async () => {
    for (const [content, headers] of [
      ['', {}],
      ['{"token":"x"}', { 'content-type': 'application/json' }],
    ] as const) {
      const { status } = await post('/token/revocation', content, { ...basic('mcp'), ...headers })
      assert.equal(status, 400)
    }
  })
})

describe('a client that has a secret', () => {
  it('is not let in without, in the header or in the content', async () => {
    const parameters = { token: 'unknown' }
    for (const id of ['web', 'machine']) {
      const header = await post('/token/introspection', parameters, basic(id))
      assert.deepEqual([header.status, header.body.error], [400, 'invalid_request'])
      const content = await post('/token/introspection', { ...parameters, client_id: id }, {})
      assert.deepEqual([content.status, content.body.error], [401, 'invalid_client'])
      assert.equal((await post('/token/introspection', parameters, basic(id, SECRET))).status, 200)
    }
  })

  it('nor is one that nobody knows', async () => {
    for (const id of ['unknown', ' ', ':', '\u0000']) {
      const { status } = await post('/token/introspection', { token: 'x' }, basic(id))
      assert.ok(status === 400 || status === 401)
    }
  })
})
