import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { freePort } from '../../lab/free-port.ts'
import { startTestServer, type TestServer } from '../../lab/server.ts'
import { cookieNames } from '../../src/oidc/cookie-names.ts'
import { sendBytes } from '../support/raw.ts'

/** Oversized and malformed requests, at every endpoint: an error for the sender, never for us. */

// Known beforehand, because the cookies of an attack are named by it.
const PORT = await freePort()
const ISSUER = `http://localhost:${PORT}`
const names = cookieNames(ISSUER)

let keyturn: TestServer
before(async () => {
  keyturn = await startTestServer({
    settings: { issuer: ISSUER, http: { host: 'localhost', port: PORT } },
  })
})
after(() => keyturn[Symbol.asyncDispose]())

const PATHS = [
  '/',
  '/.well-known/openid-configuration',
  '/.well-known/oauth-authorization-server',
  '/jwks',
  '/auth',
  '/auth/unknown',
  '/token',
  '/userinfo',
  '/token/introspection',
  '/token/revocation',
  '/request',
  '/device',
  '/device/auth',
  '/device/unknown',
  '/session/end',
  '/session/end/confirm',
  '/session/end/success',
  '/interaction/unknown',
  '/static/unknown.css',
  '/static/%2e%2e/%2e%2e/package.json',
  '/nothing',
]
const FORM = 'application/x-www-form-urlencoded'
const BIG = 'x'.repeat(200_000)

interface Attack {
  readonly name: string
  readonly init: RequestInit
  readonly query?: string
}

const ATTACKS: readonly Attack[] = [
  { name: 'nothing', init: {} },
  {
    name: 'a body of 200 kB',
    init: { method: 'POST', headers: { 'content-type': FORM }, body: `a=${BIG}` },
  },
  {
    name: 'many parameters',
    init: { method: 'POST', headers: { 'content-type': FORM }, body: 'a=1&'.repeat(10_000) },
  },
  {
    name: 'a broken form',
    init: { method: 'POST', headers: { 'content-type': FORM }, body: '%E0%A4%A=&&&==&%' },
  },
  {
    name: 'broken JSON',
    init: { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"a":' },
  },
  { name: 'no content type', init: { method: 'POST', body: new Uint8Array([0, 255, 1]) } },
  {
    name: 'an unknown charset',
    init: { method: 'POST', headers: { 'content-type': `${FORM}; charset=nonsense` }, body: 'a=b' },
  },
  {
    name: 'a parameter twice',
    init: {
      method: 'POST',
      headers: { 'content-type': FORM },
      body: 'grant_type=client_credentials&grant_type=x&client_id=a&client_id=b',
    },
  },
  {
    name: 'prototype names',
    init: {
      method: 'POST',
      headers: { 'content-type': FORM },
      body: '__proto__[x]=1&constructor=2&client_id=__proto__&code=constructor',
    },
  },
  { name: 'PUT', init: { method: 'PUT', body: 'x' } },
  { name: 'DELETE', init: { method: 'DELETE' } },
  { name: 'PATCH', init: { method: 'PATCH', body: 'x' } },
  {
    name: 'a broken query',
    init: {},
    query: '?%E0%A4%A&client_id=%00&response_type[]=code&scope=%ff',
  },
  { name: 'a query of 10 kB', init: {}, query: `?client_id=${'x'.repeat(10_000)}` },
  {
    name: 'broken cookies',
    init: {
      headers: {
        cookie: `${names.session}=%E0%A4%A; ${names.session}.sig=x; ${names.interaction}=../..; =;;`,
      },
    },
  },
  {
    name: 'a broken Authorization',
    init: {
      method: 'POST',
      headers: { authorization: 'Basic %%%', 'content-type': FORM },
      body: 'grant_type=client_credentials',
    },
  },
  { name: 'an empty bearer token', init: { headers: { authorization: 'Bearer ' } } },
  {
    name: 'a DPoP header that is no JWT',
    init: {
      method: 'POST',
      headers: { dpop: 'x.y.z', 'content-type': FORM },
      body: 'grant_type=client_credentials&client_id=machine',
    },
  },
  {
    name: 'a foreign origin',
    init: {
      method: 'POST',
      headers: { origin: 'https://evil.example', 'content-type': FORM },
      body: 'a=b',
    },
  },
  { name: 'a strange Accept', init: { headers: { accept: ';;;/,,' } } },
  { name: 'a strange If-None-Match', init: { headers: { 'if-none-match': '"unfinished, W/, ,' } } },
]

describe('every endpoint', () => {
  for (const { name, init, query = '' } of ATTACKS) {
    it(`answers ${name} without an error of its own`, async () => {
      for (const path of PATHS) {
        const answer = await fetch(`${keyturn.issuer}${path}${query}`, {
          ...init,
          redirect: 'manual',
        })
        const text = await answer.text()
        assert.ok(answer.status < 500, `${path} answered ${answer.status}: ${text.slice(0, 300)}`)
        assert.ok(!/node_modules|at .*\.[jt]s:\d+/.test(text), `${path} shows a stack trace`)
      }
    })
  }

  it('answers content without an announced length, empty or not', { timeout: 20_000 }, async () => {
    const fields = `Host: localhost\r\nContent-Type: ${FORM}\r\nConnection: close`
    for (const path of PATHS) {
      for (const method of ['GET', 'POST']) {
        for (const chunks of ['', '3\r\na=b\r\n']) {
          const head = `${method} ${path} HTTP/1.1\r\n${fields}\r\nTransfer-Encoding: chunked`
          const answer = await sendBytes(keyturn.issuer, `${head}\r\n\r\n${chunks}0\r\n\r\n`)
          assert.ok(answer.status >= 200 && answer.status < 500, `${method} ${path}`)
        }
      }
    }
  })

  it('ignores the type of content that is not there', async () => {
    for (const type of [FORM, `${FORM}; charset=utf-8`, 'application/json']) {
      for (const length of ['', 'Content-Length: 0\r\n']) {
        const fields = `Host: localhost\r\nConnection: close\r\nContent-Type: ${type}\r\n${length}`
        const post = (path: string, more = '') =>
          sendBytes(keyturn.issuer, `POST ${path} HTTP/1.1\r\n${fields}${more}\r\n`)
        const userinfo = await post('/userinfo', 'Authorization: Bearer unknown\r\n')
        assert.equal(JSON.parse(userinfo.body).error, 'invalid_token')
        const token = await post('/token')
        assert.match(JSON.parse(token.body).error_description, /no client authentication/)
      }
    }
  })

  it('survives what is not HTTP, headers that never end, and paths that do not decode', async () => {
    const { port } = new URL(keyturn.issuer)
    const send = (bytes: string) =>
      new Promise<string>((resolve) => {
        let answer = ''
        const socket = connect(Number(port), 'localhost', () => socket.end(bytes))
        socket.on('data', (chunk) => {
          answer += chunk
        })
        socket.on('close', () => resolve(answer.split('\r\n')[0] ?? ''))
        socket.on('error', () => resolve('reset'))
      })
    const head = 'HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n'
    for (const bytes of [
      'nonsense\r\n\r\n',
      `GET /%E0%A4%A ${head}\r\n`,
      `GET /interaction/%00%ff ${head}\r\n`,
      `GET //evil.example/jwks ${head}\r\n`,
      `GET http://evil.example/auth ${head}\r\n`,
      `GET /jwks ${head}X: ${'x'.repeat(100_000)}\r\n\r\n`,
      `GET /${'x'.repeat(100_000)} ${head}\r\n`,
      `POST /token ${head}Content-Length: 10\r\nTransfer-Encoding: chunked\r\n\r\n`,
      `POST /token ${head}Content-Type: ${FORM}\r\nContent-Length: 100\r\n\r\nshort`,
    ]) {
      const status = await send(bytes)
      assert.doesNotMatch(status, / 5\d\d /, bytes.slice(0, 60))
    }
    assert.equal((await fetch(`${keyturn.issuer}/jwks`)).status, 200)
  })

  it('counts none of this as an error of the server', async () => {
    const metrics = await (await fetch(`${keyturn.server.managementUrl}/metrics`)).text()
    assert.match(metrics, /^keyturn_server_errors_total 0$/m)
  })
})
