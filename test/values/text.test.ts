import assert from 'node:assert/strict'
import { describe, it, test } from 'node:test'
import type { Violation } from '../../src/errors.ts'
import { normaliseTarget } from '../../src/http/target.ts'
import { broken, load, temporaryFile, violationsOf } from '../config/sources.ts'

/** What a URL parser, an editor or a shell changes, against what was written. */

const yaml = (text: string) => JSON.stringify(text)

/** The fix of the only violation, which must be at the path and have passed nothing in silence. */
function fixOf(violations: readonly Violation[], path: string): string {
  assert.deepEqual(
    violations.map((violation) => violation.path),
    [path],
  )
  assert.doesNotMatch(
    violations[0]?.message ?? '',
    /(?!\n)[\p{Cc}\p{DI}]/u,
    'all of it can be seen',
  )
  return violations[0]?.fix ?? ''
}

describe('an issuer that a URL parser would mend', () => {
  for (const [written, meant] of [
    ['http://localhost:3000\r', 'http://localhost:3000'],
    ['http://localhost:3000 ', 'http://localhost:3000'],
    [' http://localhost:3000', 'http://localhost:3000'],
    ['http://local\thost:3000', 'http://localhost:3000'],
    ['http://localhost:3000\n\n', 'http://localhost:3000'],
    ['HTTPS://id.example.com', 'https://id.example.com'],
    ['https://ID.example.com/op', 'https://id.example.com/op'],
    ['https://id.example.com:443', 'https://id.example.com'],
    ['https://id.example.com:0443/op', 'https://id.example.com/op'],
    ['https://id.example.com:', 'https://id.example.com'],
    ['https://id.example.com/a/../op', 'https://id.example.com/op'],
    ['https://id.example.com/%2e/op', 'https://id.example.com/op'],
    ['https:\\\\id.example.com\\op', 'https://id.example.com/op'],
    ['https:id.example.com', 'https://id.example.com'],
    ['https://@id.example.com', 'https://id.example.com'],
    ['https://id.example.com?', 'https://id.example.com'],
    ['https://id.example.com/', 'https://id.example.com'],
    ['https://id.example.com//', 'https://id.example.com'],
    ['https://bücher.example', 'https://xn--bcher-kva.example'],
    ['https://id。example。com', 'https://id.example.com'],
    ['https://id.example.com/ü', 'https://id.example.com/%C3%BC'],
    ['https://id.example.com/a|b', 'https://id.example.com/a%7Cb'],
    ['https://id.example.com/[a]', 'https://id.example.com/%5Ba%5D'],
    ['https://ID.example.com/{a}|^`<b>', 'https://id.example.com/%7Ba%7D%7C%5E%60%3Cb%3E'],
    ['http://127.1:3000', 'http://127.0.0.1:3000'],
    ['http://[::0:1]:3000', 'http://[::1]:3000'],
    ['\ufeffhttps://id.example.com', 'https://id.example.com'],
    ['https://id.exam\u00adple.com', 'https://id.example.com'],
    ['https://id.example.com\u200b', 'https://id.example.com'],
  ] as const) {
    test(`${yaml(written)} is refused, and ${meant} is what to write`, (t) => {
      const env = { KEYTURN_ISSUER: written, KEYTURN_HTTP__TRUSTED_PROXIES: '1' }
      assert.equal(fixOf(violationsOf(t, '', env), 'issuer'), `write ${meant} instead`)
      const file = violationsOf(t, `issuer: ${yaml(written)}`)
      assert.equal(fixOf(file, 'issuer'), `write ${meant} instead`)
      assert.equal(load(t, '', { KEYTURN_ISSUER: meant }).issuer, meant)
    })
  }

  for (const written of [
    'https://u:p@id.example.com',
    'https://id.example.com/%7Eop',
    'https://id.example.com/a%2fb',
    'https://id.example.com/100%',
    // No request for it would be answered, or no cookie of it be possible.
    'https://id.example.com/a%2Fb',
    'https://id.example.com/a%5Cb',
    'https://id.example.com/a%00',
    'https://id.example.com/a;b',
    'https://id.example.com//a',
    'https://id.example.com:0',
    'https://id..example.com',
    'https://-id.example.com',
    'http://id.example.com ',
    '',
  ]) {
    test(`${yaml(written)} is refused without a suggestion that would be wrong`, (t) => {
      assert.match(
        fixOf(violationsOf(t, `issuer: ${yaml(written)}`), 'issuer'),
        /^set issuer to an/,
      )
    })
  }

  test('nothing is wrong with escapes, other ports and hosts in Punycode', (t) => {
    for (const issuer of [
      'https://id.example.com/a%20b',
      'https://id.example.com/a%3Bb',
      "https://id.example.com/:a/(b)*/c'd,e=f&g@h+i$j!k",
      'https://id.example.com:8443/op',
      'https://xn--bcher-kva.example',
    ]) {
      assert.equal(load(t, `issuer: ${issuer}`).issuer, issuer)
      const { pathname } = new URL(issuer)
      assert.equal(normaliseTarget(pathname), pathname, 'a request for it is answered')
    }
  })
})

const complete = { client_id: 'a', client_secret: 's', redirect_uris: ['https://a.example/'] }
const client = (metadata: object) => `clients: [${JSON.stringify({ ...complete, ...metadata })}]`
const api = (fields: object) =>
  `resources: [${JSON.stringify({ identifier: 'urn:a', scopes: [], ...fields })}]`

test('signs that a URI may only have encoded are refused where others send or compare it', (t) => {
  for (const [sign, code] of Object.entries({
    ...{ '|': '%7C', '[': '%5B', ']': '%5D', '{': '%7B', '}': '%7D' },
    ...{ '^': '%5E', '`': '%60', '<': '%3C', '>': '%3E', '"': '%22' },
  })) {
    for (const start of ['https://a.example/a', 'https://[::1]/?x=']) {
      const [uri, meant] = [`${start}${sign}b`, `${start}${code}b`]
      const redirects = violationsOf(t, client({ redirect_uris: [uri] }))
      assert.equal(fixOf(redirects, 'clients.0.redirect_uris.0'), `write ${meant} instead`)
      assert.deepEqual(violationsOf(t, client({ redirect_uris: [meant] })), [])
      const jwks = { token_endpoint_auth_method: 'private_key_jwt', jwks_uri: uri }
      const called = violationsOf(t, client({ ...jwks, client_secret: undefined }))
      assert.equal(fixOf(called, 'clients.0.jwks_uri'), `write ${meant} instead`)
      const apis = violationsOf(t, api({ identifier: uri }))
      assert.equal(fixOf(apis, 'resources.0.identifier'), `write ${meant} instead`)
    }
  }
  const named = violationsOf(t, api({ identifier: 'urn:a|b' }))
  assert.equal(fixOf(named, 'resources.0.identifier'), 'write urn:a%7Cb instead')
})

test('every other setting that is compared or used as text is held to what was written', (t) => {
  for (const [text, path, fix] of [
    ['http: { host: "127.0.0.1 " }', 'http.host', 'write 127.0.0.1 instead'],
    ['http: { host: "[::1]" }', 'http.host', 'write ::1 instead'],
    ['http: { host: "127.1" }', 'http.host', 'write 127.0.0.1 instead'],
    ['http: { host: "0:0::" }', 'http.host', 'write :: instead'],
    ['management: { host: "LOCALHOST" }', 'management.host', 'write localhost instead'],
    ['management: { host: "localhost:9090" }', 'management.host', /^set management.host to a host/],
    ['redis: { prefix: "keyturn:\\n" }', 'redis.prefix', 'write keyturn: instead'],
    ['redis: { prefix: "key\\u200bturn:" }', 'redis.prefix', 'write keyturn: instead'],
    ['redis: { master: " mymaster" }', 'redis.master', 'write mymaster instead'],
    ['redis: { sentinels: ["Redis-1:6379"] }', 'redis.sentinels.0', 'write redis-1:6379 instead'],
    ['redis: { cluster: ["a:1", "b:65536"] }', 'redis.cluster.1', /HOST:PORT/],
    ['keyStore: { path: "./keys\\r" }', 'keyStore.path', 'write ./keys instead'],
    ['seal: { file: "./kek.jwks " }', 'seal.file', 'write ./kek.jwks instead'],
    ['seal: { file: ~/kek.jwks }', 'seal.file', /a path in full, .*; .\/~\/kek.jwks for this/],
    ['seal: { file: "$HOME/kek.jwks" }', 'seal.file', /a path in full/],
    ['seal: { file: "./keys/" }', 'seal.file', /ends with the name of a file/],
    ['rotation: { witness: /var/lib/witness/ }', 'rotation.witness', /ends with the name of a/],
    ['rotation: { witness: file:///var/w.json }', 'rotation.witness', /a path and no URL/],
    ['keyStore: { path: "\\x24{DATA}/keys" }', 'keyStore.path', /a path in full/],
    ['keyStore: { path: "file:keys" }', 'keyStore.path', /a path and no URL/],
    ['database: { url: "sqlite:~/k.db" }', 'database.url', /sqlite:PATH whose PATH is a path in/],
    ['database: { url: "sqlite: k.db" }', 'database.url', /PATH is text without blanks around it/],
    ['database: { url: "sqlite:data/" }', 'database.url', /ends with the name of a file/],
    ['database: { url: "sqlite:file:k.db" }', 'database.url', /a path and no URL/],
    ['admin: { username: "ad\\u00admin" }', 'admin.username', 'write admin instead'],
    ['claims: { "profile ": [name] }', 'claims.profile ', /a scope/],
    ['claims: { profile: ["name\\u2060"] }', 'claims.profile.0', 'write name instead'],
    [
      api({ identifier: 'https://API.example.com' }),
      'resources.0.identifier',
      'write https://api.example.com instead',
    ],
    [api({ identifier: 'URN:a' }), 'resources.0.identifier', 'write urn:a instead'],
    [api({ identifier: 'urn:a\n' }), 'resources.0.identifier', 'write urn:a instead'],
    [api({ identifier: 'api' }), 'resources.0.identifier', /an absolute URI/],
    [api({ audience: 'orders\t' }), 'resources.0.audience', 'write orders instead'],
    [api({ name: 'Orders\u200e' }), 'resources.0.name', 'write Orders instead'],
    [api({ scopes: ['read write'] }), 'resources.0.scopes.0', /without blanks/],
    [client({ client_id: 'a ' }), 'clients.0.client_id', 'write a instead'],
    [client({ client_id: 'caf\u00e9' }), 'clients.0.client_id', /ASCII/],
    [client({ client_name: 'Shop\u0007' }), 'clients.0.client_name', 'write Shop instead'],
    [
      client({ client_secret: 's3cret\r' }),
      'clients.0.client_secret',
      /without control characters/,
    ],
    [client({ scope: 'openid\u00a0email' }), 'clients.0.scope', 'write openid email instead'],
    [client({ scope: 'openid\temail' }), 'clients.0.scope', 'write openid email instead'],
    [client({ client_name: 'My\r\n  Shop\n' }), 'clients.0.client_name', 'write My Shop instead'],
    [
      client({ redirect_uris: ['https://a.example/cb', 'https://a.example/cb '] }),
      'clients.0.redirect_uris.1',
      'write https://a.example/cb instead',
    ],
    [
      client({ redirect_uris: ['https://A.example/cb'] }),
      'clients.0.redirect_uris.0',
      'write https://a.example/cb instead',
    ],
    [
      client({ post_logout_redirect_uris: ['https://a.example:443/'] }),
      'clients.0.post_logout_redirect_uris.0',
      'write https://a.example/ instead',
    ],
    [
      client({ redirect_uris: ['Com.Example.App:/cb'] }),
      'clients.0.redirect_uris.0',
      'write com.example.app:/cb instead',
    ],
    [
      client({ jwks_uri: 'https://a.example/x/../jwks' }),
      'clients.0.jwks_uri',
      'write https://a.example/jwks instead',
    ],
    [client({ backchannel_logout_uri: '/logout' }), 'clients.0.backchannel_logout_uri', /absolute/],
    ['database: { url: "POSTGRES://k:p@db/k" }', 'database.url', /^set database.url to sqlite/],
    ['database: { url: "postgres://db/k\\n" }', 'database.url', /^set database.url to sqlite/],
    ['database: { url: "sqlite:./k.db " }', 'database.url', /^set database.url to sqlite/],
    [
      'resources: [{ identifier: "urn:a%b", scopes: [] }]',
      'resources.0.identifier',
      /every % begins/,
    ],
    ['redis: { url: "redis://h:0" }', 'redis.url', /^set redis.url to a URL whose port/],
    ['redis: { url: "Redis://db" }', 'redis.url', /^set redis.url to redis/],
    ['redis: { url: " redis://db" }', 'redis.url', /^set redis.url to redis/],
  ] as const) {
    const found = fixOf(violationsOf(t, text), path)
    if (typeof fix === 'string') assert.equal(found, fix, text)
    else assert.match(found, fix, text)
  }
})

test('what people may well mean is taken as it was written', (t) => {
  const text = `
http: { host: "fe80::1%eth0" }
redis: { prefix: "{shop}:", cluster: [] }
seal: { file: "./my keys/kek.jwks" }
keyStore: { path: "./~/$keys/" }
resources:
  - { identifier: "https://api.example.com", name: "API 👨‍👩‍👧 می‌خواهم", scopes: ["a:b", "c/d"], audience: "my api" }
  - { identifier: "https://api.example.com/", scopes: [] }
clients:
  - client_id: a b
    client_name: "株式会社　例"
    client_secret: " with blanks "
    application_type: native
    redirect_uris: ["https://a.example", "https://a.example/cb?x=%2f", "com.example.app://Cb"]
    client_uri: ""`
  const { resources, clients } = load(t, text)
  assert.equal(resources[0]?.audience, 'my api')
  assert.equal(clients[0]?.client_secret, ' with blanks ')
  assert.equal(clients[0]?.client_name, '株式会社　例')
})

describe('a value from a file that the environment names', () => {
  const issuer = (t: it.TestContext, content: string) => ({
    KEYTURN_ISSUER_FILE: temporaryFile(t, content, 'issuer'),
  })

  for (const end of ['', '\n', '\r\n']) {
    it(`may end as an editor ends it: ${yaml(end)}`, (t) => {
      const env = issuer(t, `https://id.example.com${end}`)
      assert.equal(load(t, '', env).issuer, 'https://id.example.com')
    })
  }

  for (const [before, behind] of [
    ['', '\n\n'],
    ['', ' \n'],
    ['', '\r'],
    ['\n', ''],
    ['\ufeff', '\n'],
  ] as const) {
    it(`may not have ${yaml(before)} before or ${yaml(behind)} behind it`, (t) => {
      const env = issuer(t, `${before}https://id.example.com${behind}`)
      assert.equal(
        fixOf(violationsOf(t, '', env), 'issuer'),
        'write https://id.example.com instead',
      )
    })
  }

  it('is no text where its bytes are none', (t) => {
    const env = { KEYTURN_REDIS__PREFIX_FILE: temporaryFile(t, 'key\ufffd', 'prefix') }
    assert.deepEqual(broken(violationsOf(t, '', env)), ['redis.prefix: format'])
  })
})

test('no suggestion shows a password', (t) => {
  const text = client({ redirect_uris: ['https://u:s3cret@A.example/cb'] })
  const [violation] = violationsOf(t, text)
  assert.doesNotMatch(JSON.stringify(violation), /s3cret/)
})
