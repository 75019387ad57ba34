import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { CLIENTS, SECRET, startTestServer, type TestServer } from '../../lab/server.ts'
import { rawRequest, sendBytes } from '../support/raw.ts'

/** Whatever form a request target has and whatever it names, Keyturn answers under one name. */

const EVIL = 'https://evil.example'
const FORM = 'application/x-www-form-urlencoded'
const ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

let keyturn: TestServer
let key: Awaited<ReturnType<typeof generateKeyPair>>
before(async () => {
  key = await generateKeyPair('ES256', { extractable: true })
  const signer = {
    client_id: 'signer',
    redirect_uris: [],
    response_types: [],
    grant_types: ['client_credentials'],
    token_endpoint_auth_method: 'private_key_jwt',
    jwks: { keys: [{ ...(await exportJWK(key.publicKey)), alg: 'ES256' }] },
  }
  keyturn = await startTestServer({ settings: { clients: [...CLIENTS, signer] } })
})
after(() => keyturn[Symbol.asyncDispose]())

const DOCUMENTS = [
  '/jwks',
  '/.well-known/openid-configuration',
  '/.well-known/oauth-authorization-server',
]

describe('a document that is asked for in another way', () => {
  for (const document of DOCUMENTS) {
    it(`${document} is the same in absolute form, with any Host and any X-Forwarded-*`, async () => {
      const usual = await rawRequest(keyturn.issuer, document)
      assert.equal(usual.status, 200)
      assert.match(usual.headers['cache-control'] ?? '', /^public, max-age=\d+/)
      assert.ok(usual.headers.etag)
      const unusual = [
        [`${EVIL}${document}`, {}],
        [`http://127.0.0.1:1${document}?a=b`, { Host: 'evil.example' }],
        [`HTTPS://evil.example:8443${document}/`, {}],
        [document.replace(/[a-z]/g, (l) => `%${l.charCodeAt(0).toString(16)}`), {}],
        [document.toUpperCase(), { 'X-Forwarded-Host': 'evil.example' }],
        [document, { Host: 'evil.example', 'X-Forwarded-Proto': 'https', Forwarded: 'host=evil' }],
      ] as const
      for (const [target, headers] of unusual) {
        const answer = await rawRequest(keyturn.issuer, target, { headers })
        assert.equal(answer.body, usual.body, target)
        for (const name of ['cache-control', 'etag', 'content-type', 'access-control-allow-origin'])
          assert.equal(answer.headers[name], usual.headers[name], `${target}: ${name}`)
      }
    })
  }

  it('is refused where two programs could understand two addresses', async () => {
    for (const target of ['/jwks#x', '/auth/../jwks', '/x/%2e%2e/jwks', '/\\jwks', '/%2fjwks']) {
      const { status, body } = await rawRequest(keyturn.issuer, target)
      assert.equal(status, 400, target)
      assert.equal(JSON.parse(body).error, 'invalid_request')
    }
  })

  it('is refused with two Host header fields, or one that is none', async () => {
    for (const host of ['a\r\nHost: a', 'a b', 'user@evil.example']) {
      const bytes = `GET /jwks HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`
      assert.equal((await sendBytes(keyturn.issuer, bytes)).status, 400, host)
    }
  })
})

describe('pages and redirects', () => {
  const parameters = new URLSearchParams({
    client_id: 'web',
    response_type: 'code',
    scope: 'openid',
    redirect_uri: 'http://localhost:9999/callback',
    code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
    code_challenge_method: 'S256',
  })

  for (const target of [`${EVIL}/auth?${parameters}`, `/auth?${parameters}`]) {
    it(`name no other host when ${target.split('?')[0]} is asked for`, async () => {
      const headers = { Host: 'evil.example', 'X-Forwarded-Host': 'evil.example' }
      const answer = await rawRequest(keyturn.issuer, target, { headers })
      assert.equal(answer.status, 303)
      assert.match(answer.headers.location ?? '', /^\/interaction\/[\w-]+\?client_id=web$/)
      assert.doesNotMatch(JSON.stringify(answer), /evil/)
    })
  }

  it('name no other host in the forms of sign-out and devices', async () => {
    for (const path of ['/session/end', '/device', '/session/end/success']) {
      for (const target of [`${EVIL}${path}`, `${EVIL}${path}?x=${EVIL}`, path]) {
        const headers = { Host: 'evil.example', Accept: 'text/html' }
        const answer = await rawRequest(keyturn.issuer, target, { headers })
        assert.equal(answer.status, 200)
        assert.doesNotMatch(JSON.stringify(answer), /evil/, target)
      }
    }
  })
})

describe('a proof that names an address', () => {
  const token = (target: string, fields: Record<string, string>, headers = {}) =>
    rawRequest(keyturn.issuer, target, {
      method: 'POST',
      headers: { 'Content-Type': FORM, ...headers },
      body: new URLSearchParams({ grant_type: 'client_credentials', ...fields }).toString(),
    })

  const proof = async (htu: string) =>
    new SignJWT({ htm: 'POST', htu, jti: crypto.randomUUID() })
      .setProtectedHeader({
        alg: 'ES256',
        typ: 'dpop+jwt',
        jwk: await exportJWK(key.publicKey),
      })
      .setIssuedAt()
      .sign(key.privateKey)

  const assertion = (audience: string) =>
    new SignJWT({ jti: crypto.randomUUID() })
      .setProtectedHeader({ alg: 'ES256' })
      .setIssuer('signer')
      .setSubject('signer')
      .setAudience(audience)
      .setIssuedAt()
      .setExpirationTime('1m')
      .sign(key.privateKey)

  for (const target of ['/token', `${EVIL}/token`]) {
    it(`DPoP counts at ${target} for our own token endpoint alone`, async () => {
      const secret = { client_id: 'machine', client_secret: SECRET }
      const send = async (htu: string) =>
        token(target, secret, { Host: 'evil.example', DPoP: await proof(htu) })
      const foreign = await send(`${EVIL}/token`)
      assert.equal(foreign.status, 400, foreign.body)
      assert.equal(JSON.parse(foreign.body).error, 'invalid_dpop_proof')
      const own = await send(`${keyturn.issuer}/token`)
      assert.equal(own.status, 200, own.body)
    })

    it(`private_key_jwt counts at ${target} for our own token endpoint alone`, async () => {
      const send = async (audience: string) =>
        token(
          target,
          {
            client_id: 'signer',
            client_assertion_type: ASSERTION,
            client_assertion: await assertion(audience),
          },
          { Host: 'evil.example' },
        )
      const foreign = await send(`${EVIL}/token`)
      assert.equal(foreign.status, 401, foreign.body)
      const own = await send(`${keyturn.issuer}/token`)
      assert.equal(own.status, 200, own.body)
    })
  }
})

describe('what is asked of the server as a whole', () => {
  it('OPTIONS * is answered with the methods, and a tunnel is refused', async () => {
    const all = await rawRequest(keyturn.issuer, '*', { method: 'OPTIONS' })
    assert.equal(all.status, 204)
    assert.match(all.headers.allow ?? '', /GET, HEAD/)
    assert.equal((await rawRequest(keyturn.issuer, '*')).status, 400)
    const tunnel = await rawRequest(keyturn.issuer, 'evil.example:443', { method: 'CONNECT' })
    assert.equal(tunnel.status, 405)
    assert.match(tunnel.headers.allow ?? '', /GET, HEAD/)
  })
})
