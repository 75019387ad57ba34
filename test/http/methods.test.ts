import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { startTestServer, type TestServer } from '../../lab/server.ts'

const PATH = '/op'

let keyturn: TestServer
let origin: string
before(async () => {
  keyturn = await startTestServer({ path: PATH })
  origin = new URL(keyturn.issuer).origin
})
after(() => keyturn[Symbol.asyncDispose]())

const ask = (path: string, method: string, headers = {}) =>
  fetch(`${origin}${path}`, { method, headers, redirect: 'manual' })

const DOCUMENTS = [
  `${PATH}/jwks`,
  `${PATH}/.well-known/openid-configuration`,
  `${PATH}/.well-known/oauth-authorization-server`,
  `/.well-known/oauth-authorization-server${PATH}`,
]
const PAGES = [`${PATH}/`, `${PATH}/static/pico.min.css`, `${PATH}/static/icon.svg`]

describe('what GET offers', () => {
  for (const path of [...DOCUMENTS, ...PAGES]) {
    it(`${path} is there for HEAD, with the same header fields and no content`, async () => {
      const [get, head] = [await ask(path, 'GET'), await ask(path, 'HEAD')]
      assert.equal(get.status, 200)
      assert.equal(head.status, 200)
      assert.equal(await head.text(), '')
      for (const name of ['content-type', 'content-length', 'cache-control', 'etag'])
        assert.equal(head.headers.get(name), get.headers.get(name), name)
    })

    it(`${path} names its methods to OPTIONS, and to a wrong method with 405`, async () => {
      const options = await ask(path, 'OPTIONS')
      assert.equal(options.status, 204)
      assert.equal(options.headers.get('allow'), 'GET, HEAD, OPTIONS')
      for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
        const wrong = await ask(path, method)
        assert.equal(wrong.status, 405, method)
        assert.equal(wrong.headers.get('allow'), 'GET, HEAD, OPTIONS')
      }
    })
  }

  it('a step of a sign-in takes GET, HEAD and POST', async () => {
    const path = `${PATH}/interaction/unknown`
    assert.equal((await ask(path, 'HEAD')).status, (await ask(path, 'GET')).status)
    assert.equal((await ask(path, 'OPTIONS')).headers.get('allow'), 'GET, HEAD, POST, OPTIONS')
    const wrong = await ask(path, 'DELETE')
    assert.equal(wrong.status, 405)
    assert.equal(wrong.headers.get('allow'), 'GET, HEAD, POST, OPTIONS')
  })
})

describe('an address whose letters have another case', () => {
  it('is the same below the path of the issuer, and nothing is there otherwise', async () => {
    for (const path of [`${PATH}/JWKS`, `${PATH}/.WELL-KNOWN/openid-configuration/`]) {
      assert.equal((await ask(path, 'GET')).status, 200, path)
    }
    assert.equal((await ask(`${PATH}/TOKEN`, 'GET')).headers.get('allow'), 'POST, OPTIONS')
    for (const path of ['jwks', 'token', 'auth', `auth/${'x'.repeat(43)}`, 'static/icon.svg', '']) {
      for (const method of ['GET', 'POST', 'OPTIONS']) {
        const answer = await ask(`${PATH.toUpperCase()}/${path}`, method)
        assert.deepEqual([answer.status, answer.headers.get('allow')], [404, null], path)
      }
    }
  })
})

describe('an endpoint of the protocol', () => {
  const FORMS = ['token', 'token/introspection', 'token/revocation', 'request', 'device/auth']
  const endpoints: readonly (readonly [path: string, allow: string, wrong: string])[] = [
    ...FORMS.map((path) => [path, 'POST, OPTIONS', 'GET'] as const),
    ['REQUEST/', 'POST, OPTIONS', 'GET'],
    ['userinfo', 'GET, HEAD, POST, OPTIONS', 'PUT'],
    ['auth', 'GET, HEAD, POST, OPTIONS', 'DELETE'],
    ['device', 'GET, HEAD, POST, OPTIONS', 'PUT'],
    [`auth/${'x'.repeat(43)}`, 'GET, HEAD, OPTIONS', 'POST'],
    [`device/${'x'.repeat(43)}/`, 'GET, HEAD, OPTIONS', 'DELETE'],
    ['session/end', 'GET, HEAD, POST, OPTIONS', 'PUT'],
    ['session/end/confirm', 'POST, OPTIONS', 'GET'],
    ['session/end/success', 'GET, HEAD, OPTIONS', 'POST'],
  ]
  for (const [path, allow, wrong] of endpoints) {
    it(`${path} names its methods to OPTIONS, and to ${wrong} with 405`, async () => {
      const options = await ask(`${PATH}/${path}`, 'OPTIONS')
      assert.equal(options.status, 204)
      assert.equal(options.headers.get('allow'), allow)
      const asked = { origin: 'https://app.example', 'access-control-request-method': 'GET' }
      assert.equal((await ask(`${PATH}/${path}`, 'OPTIONS', asked)).status, 204)
      const answer = await ask(`${PATH}/${path}`, wrong, { accept: 'application/json' })
      assert.equal(answer.status, 405)
      assert.equal(answer.headers.get('allow'), allow)
      // The answer to a program is an object.
      const body = (await answer.json()) as { readonly error_description?: string }
      assert.match(body.error_description ?? '', /does not take this method/)
      for (const method of allow.split(', ').filter((name) => name !== 'OPTIONS')) {
        const { status } = await ask(`${PATH}/${path}`, method)
        assert.ok(![404, 405].includes(status), `${method}: ${status}`)
      }
    })
  }

  it('leaves preflights to oidc-provider, and says of other addresses that nothing is there', async () => {
    const preflight = await ask(`${PATH}/token`, 'OPTIONS', {
      origin: 'https://app.example',
      'access-control-request-method': 'POST',
    })
    assert.equal(preflight.headers.get('access-control-allow-methods'), 'POST')
    const nothing = await ask(`${PATH}/tokens`, 'GET', { accept: 'application/json' })
    assert.equal(nothing.status, 404)
    assert.deepEqual(await nothing.json(), {
      error: 'invalid_request',
      error_description: 'there is nothing at this address',
    })
  })
})

describe('a page of another site', () => {
  for (const path of DOCUMENTS) {
    it(`may read ${path}, and its preflight says so`, async () => {
      const page = { origin: 'https://app.example' }
      const preflight = await ask(path, 'OPTIONS', {
        ...page,
        'access-control-request-method': 'GET',
        'access-control-request-headers': 'x-request-id',
      })
      assert.equal(preflight.status, 204)
      assert.equal(preflight.headers.get('access-control-allow-origin'), '*')
      assert.match(preflight.headers.get('access-control-allow-methods') ?? '', /GET/)
      assert.equal(preflight.headers.get('access-control-allow-headers'), 'x-request-id')
      const answer = await ask(path, 'GET', page)
      assert.equal(answer.headers.get('access-control-allow-origin'), '*')
    })
  }
})

describe('the address at which a sign-in ends', () => {
  for (const query of [
    '',
    '?client_id=web',
    '?client_id=web&redirect_uri=x',
    '?client_id=unknown',
  ]) {
    it(`is not found where it was never given out (${query || 'no query'})`, async () => {
      const answer = await ask(`${PATH}/auth/ANYTHING${query}`, 'GET', { accept: 'text/html' })
      assert.equal(answer.status, 404)
    })

    it(`has expired where it may have been (${query || 'no query'})`, async () => {
      const path = `${PATH}/auth/${'x'.repeat(43)}${query}`
      const answer = await ask(path, 'GET', { accept: 'text/html' })
      assert.equal(answer.status, 400)
      assert.match(await answer.text(), /has expired/)
    })
  }
})
