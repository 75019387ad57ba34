import assert from 'node:assert/strict'
import { test } from 'node:test'
import { broken, load, violationsOf } from './sources.ts'

/** Settings exactly at a limit, and the same one second (or one step) beyond it. */
const LIMITS = [
  {
    bound: 'propagation covers ring age, JWKS cache and clock skew (1h + 15m + 2 x 1m)',
    at: 'rotation: { propagation: 77m }',
    beyond: 'rotation: { propagation: 4619s }',
    broken: ['rotation.propagation: propagation'],
    fix: 'set rotation.propagation to at least 77m',
  },
  {
    bound: 'a ring answers for the propagation that it overrides',
    at: 'rotation: { rings: { sig/RS256: { propagation: 77m } } }',
    beyond: 'rotation: { rings: { sig/RS256: { propagation: 4619s } } }',
    broken: ['rotation.rings.sig/RS256.propagation: propagation'],
    fix: 'set rotation.rings.sig/RS256.propagation to at least 77m',
  },
  {
    bound: 'propagation of the cookie ring covers ring age and skew only, because no cache has it',
    at: 'rotation: { rings: { sig/RS256: {}, cookie: { propagation: 62m } } }',
    beyond: 'rotation: { rings: { sig/RS256: {}, cookie: { propagation: 3719s } } }',
    broken: ['rotation.rings.cookie.propagation: propagation'],
    fix: 'set rotation.rings.cookie.propagation to at least 62m',
  },
  {
    bound: 'retention covers the longest token and clock skew (1h + 2 x 1m)',
    at: 'rotation: { retention: 62m }',
    beyond: 'rotation: { retention: 3719s }',
    broken: ['rotation.retention: retention'],
    fix: 'set rotation.retention to at least 62m',
  },
  {
    bound: 'retention covers the lifetime that a resource gives its JWTs',
    at: 'rotation: { retention: 122m }\nresources: [{ identifier: "urn:a", scopes: [], tokenLifetime: 2h }]',
    beyond:
      'rotation: { retention: 7319s }\nresources: [{ identifier: "urn:a", scopes: [], tokenLifetime: 2h }]',
    broken: ['rotation.retention: retention'],
    fix: 'set rotation.retention to at least 122m',
  },
  {
    bound: 'retention covers logout tokens of 120s if all other tokens are shorter',
    at: 'rotation: { retention: 240s }\ntokens: { idToken: 1s, accessToken: 1s, clientCredentials: 1s }',
    beyond:
      'rotation: { retention: 239s }\ntokens: { idToken: 1s, accessToken: 1s, clientCredentials: 1s }',
    broken: ['rotation.retention: retention'],
    fix: 'set rotation.retention to at least 4m',
  },
  {
    bound: 'retention covers authorization responses of 120s if no token lives as long',
    at: 'rotation: { retention: 240s }\ntokens: { idToken: 1s, accessToken: 1s, clientCredentials: 1s }\noutgoing: { backchannelLogout: false }',
    beyond:
      'rotation: { retention: 239s }\ntokens: { idToken: 1s, accessToken: 1s, clientCredentials: 1s }\noutgoing: { backchannelLogout: false }',
    broken: ['rotation.retention: retention'],
    fix: 'set rotation.retention to at least 4m',
  },
  {
    bound: 'retention of the cookie ring covers the session (14d + 2 x 1m)',
    at: 'rotation: { rings: { sig/RS256: {}, cookie: { retention: 20162m } } }',
    beyond: 'rotation: { rings: { sig/RS256: {}, cookie: { retention: 1209719s } } }',
    broken: ['rotation.rings.cookie.retention: cookie-retention'],
    fix: 'set rotation.rings.cookie.retention to at least 20162m',
  },
  {
    bound: 'retention of the cookie ring covers the clock tolerance too (14d + 5m - 1m + 2 x 1m)',
    at: 'rotation: { rings: { sig/RS256: {}, cookie: { retention: 20166m } } }\ntokens: { clockTolerance: 5m }',
    beyond:
      'rotation: { rings: { sig/RS256: {}, cookie: { retention: 1209959s } } }\ntokens: { clockTolerance: 5m }',
    broken: ['rotation.rings.cookie.retention: cookie-retention'],
    fix: 'set rotation.rings.cookie.retention to at least 20166m',
  },
  {
    bound: 'a cryptoperiod is longer than propagation',
    at: 'rotation: { cryptoperiod: 1209601s }',
    beyond: 'rotation: { cryptoperiod: 14d }',
    broken: ['rotation.cryptoperiod: cryptoperiod'],
    fix: 'set rotation.cryptoperiod to more than 14d',
  },
  {
    bound: 'two refreshes fit into the ring age',
    at: 'rotation: { refreshInterval: 30m }',
    beyond: 'rotation: { refreshInterval: 1801s }',
    broken: ['rotation.refreshInterval: refresh-interval'],
    fix: 'set rotation.refreshInterval to at most 30m',
  },
  {
    bound: 'at most 10 keys are published: 5 in each of two rings, 3 of them retired',
    at: 'rotation: { cryptoperiod: 90d, retention: 270d }',
    beyond: 'rotation: { cryptoperiod: 90d, retention: 23328001s }',
    broken: ['rotation.rings: published-keys'],
    fix: 'set rotation.cryptoperiod to at least 7776001s, or shorten rotation.retention',
  },
  {
    bound: 'a grant lives as long as its refresh tokens',
    at: 'tokens: { grant: 10d, refreshToken: 10d }',
    beyond: 'tokens: { grant: 863999s, refreshToken: 10d }',
    broken: ['tokens.grant: grant'],
    fix: 'set tokens.grant to at least 10d',
  },
] as const

for (const { bound, at, beyond, broken: expected, fix } of LIMITS) {
  test(`${bound}: the limit is accepted, a second beyond is not`, (t) => {
    assert.deepEqual(broken(violationsOf(t, at)), [])
    const violations = violationsOf(t, beyond)
    assert.deepEqual(broken(violations), expected)
    assert.equal(violations[0]?.fix, fix)
  })
}

test('a message has the numbers that an operator needs', (t) => {
  const [violation] = violationsOf(t, 'rotation:\n  propagation: 1h\n')
  assert.equal(violation?.value, '1h')
  assert.match(
    violation?.message ?? '',
    /sig\/RS256 would sign after 1h.*77m \(maxRingAge 1h \+ jwksMaxAge 15m \+ 2 x clockSkew 1m\)/,
  )
})

test('rings that share a setting break a rule once, with the value that the neediest needs', (t) => {
  const violations = violationsOf(
    t,
    'rotation: { propagation: 1m, rings: { cookie: {}, sig/RS256: {}, sig/ES256: {} } }',
  )
  assert.deepEqual(broken(violations), ['rotation.propagation: propagation'])
  assert.equal(violations[0]?.fix, 'set rotation.propagation to at least 77m')
})

test('a retention too short for sessions is mended at the cookie ring alone', (t) => {
  const violations = violationsOf(
    t,
    'rotation: { retention: 1d, rings: { sig/RS256: {}, cookie: {} } }',
  )
  assert.deepEqual(broken(violations), ['rotation.retention: cookie-retention'])
  assert.equal(violations[0]?.fix, 'set rotation.rings.cookie.retention to at least 20162m')
})

test('opaque tokens of a resource need no retention, and are not signed', (t) => {
  const text = `
rotation: { retention: 62m }
resources:
  - { identifier: urn:a, scopes: [], tokenFormat: opaque, tokenLifetime: 9d, ALGORITHM }`
  assert.deepEqual(violationsOf(t, text.replace('ALGORITHM', 'algorithm: RS256')), [])
  assert.deepEqual(broken(violationsOf(t, text.replace('ALGORITHM', 'algorithm: PS256'))), [
    'resources.0.algorithm: no-effect',
  ])
})

test('claims of the scope openid are refused, because it gives sub alone', (t) => {
  assert.deepEqual(broken(violationsOf(t, 'claims: { openid: [email] }')), [
    'claims.openid: no-effect',
  ])
})

test('without a standby, a successor published late counts for less', (t) => {
  const rings = 'rings: { sig/RS256: {}, sig/ES256: {}, sig/PS256: {}, sig/ES384: {} }'
  assert.deepEqual(broken(violationsOf(t, `rotation: { ${rings} }`)), [
    'rotation.rings: published-keys',
  ])
  assert.deepEqual(violationsOf(t, `rotation: { standby: false, ${rings} }`), [])
})

test('if no cryptoperiod is long enough, the fix is to remove a ring', (t) => {
  const rings = ['RS256', 'ES256', 'PS256', 'ES384'].map((algorithm) => `sig/${algorithm}: {}`)
  const [violation] = violationsOf(t, `rotation: { rings: { ${rings.join(', ')} } }`)
  assert.equal(violation?.value, 12)
  assert.equal(violation.fix, 'remove a ring from rotation.rings')
})

test('a configuration without a ring that signs tokens is refused', (t) => {
  assert.deepEqual(broken(violationsOf(t, 'rotation: { rings: { cookie: {} } }')), [
    'rotation.rings: signing-ring',
  ])
})

test('an archive for the cookie ring is refused', (t) => {
  const text = 'rotation: { rings: { sig/RS256: {}, cookie: { archive: 1d } } }'
  assert.deepEqual(broken(violationsOf(t, text)), ['rotation.rings.cookie.archive: cookie-archive'])
})

test('an algorithm of a resource or client without a ring is refused', (t) => {
  const text = `
rotation: { rings: { sig/ES256: {} } }
resources: [{ identifier: urn:a, scopes: [], algorithm: PS256 }]
clients:
  - { client_id: a, client_secret: s, redirect_uris: [https://a.example/] }
  - { client_id: b, token_endpoint_auth_method: none, redirect_uris: [https://b.example/], id_token_signed_response_alg: HS256 }`
  const violations = violationsOf(t, text)
  assert.deepEqual(broken(violations), [
    'resources.0.algorithm: algorithm-ring',
    'clients.0.id_token_signed_response_alg: algorithm-ring',
    'clients.1.id_token_signed_response_alg: algorithm-ring',
  ])
  assert.deepEqual(
    violations.map((violation) => violation.fix),
    [
      'set resources.0.algorithm to ES256, or add sig/PS256: {} to rotation.rings',
      'set clients.0.id_token_signed_response_alg to ES256, or add sig/RS256: {} to rotation.rings',
      'set clients.1.id_token_signed_response_alg to ES256',
    ],
  )
})

test('a client or resource that occurs twice is refused', (t) => {
  const text = `
clients:
  - { client_id: a, client_secret: s, redirect_uris: [https://a.example/] }
  - { client_id: a, client_secret: s, redirect_uris: [https://a.example/] }
resources: [{ identifier: urn:a, scopes: [] }, { identifier: urn:a, scopes: [] }]`
  assert.deepEqual(broken(violationsOf(t, text)), [
    'resources.1.identifier: repeated',
    'clients.1.client_id: repeated',
  ])
})

test('production refuses an http issuer, development does not', (t) => {
  const text = 'issuer: http://localhost:3000\nenvironment:'
  assert.deepEqual(broken(violationsOf(t, `${text} production`)), ['issuer: production-issuer'])
  assert.deepEqual(violationsOf(t, `${text} development`), [])
})

test('an issuer at a port that browsers refuse is refused, and one beside it is not', (t) => {
  for (const port of [6000, 6667, 10_080]) {
    const found = violationsOf(t, `issuer: http://localhost:${port}`)
    assert.deepEqual(broken(found), ['issuer: issuer-port'])
    assert.match(found[0]?.message ?? '', new RegExp(`refuse to open port ${port}`))
  }
  assert.deepEqual(violationsOf(t, 'issuer: http://localhost:10081'), [])
})

test('a key store of type module needs a module', (t) => {
  assert.deepEqual(broken(violationsOf(t, 'keyStore: { type: module }')), [
    'keyStore.module: key-store-module',
  ])
  assert.deepEqual(violationsOf(t, 'keyStore: { type: module, module: ./store.js }'), [])
})

test('what another setting turns off is refused', (t) => {
  for (const [text, path] of [
    [`seal: { keys: ${'A'.repeat(43)} }`, 'seal.keys'],
    ['keyStore: { module: ./store.js }', 'keyStore.module'],
    ['redis: { url: "redis://r", master: other }', 'redis.master'],
  ]) {
    const violations = violationsOf(t, text ?? '')
    assert.deepEqual(broken(violations), [`${path}: no-effect`])
    assert.match(violations[0]?.fix ?? '', new RegExp(`^remove ${path}, or set `))
    assert.doesNotMatch(JSON.stringify(violations), /AAAA/)
  }
  const sentinels = 'redis: { url: "redis://r", master: other, sentinels: ["a:26379"] }'
  assert.deepEqual(violationsOf(t, sentinels), [])
})

test('keys in memory are for development, with a warning', (t) => {
  assert.match(load(t, 'keyStore: { type: memory }').warnings.join(), /no token outlives/)
  const production =
    'environment: production\nissuer: https://id.example\nkeyStore: { type: memory }'
  assert.deepEqual(broken(violationsOf(t, production)), ['keyStore.type: production-key-store'])
})

test('keys in memory are refused for several processes, because each would have its own', (t) => {
  const text = 'http: { socketActivation: true }\nkeyStore: { type: memory }'
  assert.deepEqual(broken(violationsOf(t, text)), ['http.socketActivation: shared-key-store'])
})

test('a fast profile, an ML-DSA ring and more than 5 keys give warnings', (t) => {
  assert.deepEqual(load(t, '').warnings, [], 'the defaults warn')
  const text =
    'rotation: { rings: { sig/RS256: {}, sig/ES256: {}, sig/ML-DSA-44: {}, cookie: { cryptoperiod: 59m, propagation: 1m } }, maxRingAge: 50s, clockSkew: 1s, refreshInterval: 5s }'
  const { warnings } = load(t, text)
  assert.equal(warnings.length, 3)
  assert.match(warnings[0] ?? '', /^Keys turn every 59m/)
  assert.match(warnings[1] ?? '', /^sig\/ML-DSA-44: /)
  assert.match(warnings[2] ?? '', /^6 keys are published all the time/)
})

test('a request that is given up before its statement is gives a warning', (t) => {
  const witness = 'rotation: { witness: redis }\nredis: { url: "redis://r" }\n'
  const seal = `seal: { protector: environment, keys: ${'A'.repeat(43)} }\n`
  const warnings = (database: string) =>
    load(t, `${witness}${seal}database: { ${database}, timeout: 15s }`).warnings
  assert.match(
    warnings('url: "postgres://h/d"').join(),
    /^http\.limits\.answerTime \(15s\) is not longer than database\.timeout \(15s\): /,
  )
  assert.deepEqual(warnings('url: "sqlite:./k.db"'), [])
})

test('a ring whose key type came after RSA and EC gives a warning', (t) => {
  for (const [ring, type] of [
    ['sig/Ed25519', 'OKP'],
    ['sig/EdDSA', 'OKP'],
    ['sig/ML-DSA-87', 'AKP'],
  ]) {
    const { warnings } = load(t, `rotation: { rings: { sig/RS256: {}, ${ring}: {} } }`)
    assert.equal(warnings.length, 1, ring)
    assert.ok(warnings[0]?.startsWith(`${ring}: many relying parties refuse a whole JWKS`))
    assert.ok(warnings[0]?.includes(`(kty ${type})`))
  }
  const apart = load(t, 'rotation: { rareKeys: apart, rings: { sig/RS256: {}, sig/EdDSA: {} } }')
  assert.match(apart.warnings.join(), /^sig\/EdDSA: .* need .*\/jwks\/all as their jwks_uri/)
  const known = load(t, 'rotation: { rings: { sig/PS384: {}, sig/ES512: {} } }')
  assert.deepEqual(known.warnings, [])
})

test('an issuer whose port or scheme the listener does not serve gives a warning', (t) => {
  const rings = 'rotation: { rings: { sig/RS256: {} } }\n'
  const proxy = load(t, `${rings}issuer: https://id.example.com`).warnings
  assert.match(proxy.join(), /trustedProxies/)
  const port = load(t, `${rings}http: { port: 3001 }`).warnings
  assert.match(port.join(), /different ports/)
})

test('keys of one node only give a warning if several nodes can share the database', (t) => {
  const database = 'database: { url: "postgres://k:p@db/k" }'
  assert.match(load(t, database).warnings.join(), /Every node needs the same/)
  const seal = `seal: { protector: environment, keys: ${'A'.repeat(43)} }`
  const shared = `${database}\n${seal}\nrotation: { witness: ./witness.json }`
  assert.deepEqual(load(t, shared).warnings, [])
  const tolerance = load(t, `${shared}\ntokens: { clockTolerance: 59s }`).warnings
  assert.match(tolerance.join(), /other nodes may refuse a pushed authorization request/)
  const files = load(t, `${shared}\nkeyStore: { type: file }`).warnings
  assert.match(files.join(), /in a directory of this one/)
})

test('an unusable key-encryption key is refused before a start', (t) => {
  const keys = (text: string) =>
    violationsOf(t, `seal: { protector: environment, keys: '${text}' }`)
  assert.deepEqual(keys(`${'A'.repeat(43)}, ${'B'.repeat(43)}`), [])
  for (const text of [
    '',
    'a-secret-too-short',
    `{"keys":[{"kty":"oct","k":"${'A'.repeat(42)}"}]}`,
  ]) {
    const violations = keys(text)
    assert.deepEqual(broken(violations), ['seal.keys: seal-keys'])
    assert.match(violations[0]?.fix ?? '', /openssl rand -base64 32/)
    assert.ok(!JSON.stringify(violations).includes('a-secret'))
  }
})

test('nodes of Redis without redis.url are refused', (t) => {
  for (const nodes of ['cluster: ["a:6379"]', 'sentinels: ["a:26379"]']) {
    assert.deepEqual(violationsOf(t, `redis: { url: "redis://default", ${nodes} }`), [])
    const violations = violationsOf(t, `redis: { ${nodes} }`)
    assert.deepEqual(broken(violations), ['redis.url: redis-url'])
    assert.match(violations[0]?.fix ?? '', /set redis.url too/)
  }
})

test('Redis as a Cluster and with Sentinels is refused', (t) => {
  const nodes = 'cluster: ["a:6379"], sentinels: ["a:26379"]'
  const violations = violationsOf(t, `redis: { url: "redis://default", ${nodes} }`)
  assert.deepEqual(broken(violations), ['redis.sentinels: redis-nodes'])
  assert.equal(violations[0]?.fix, 'remove redis.cluster or redis.sentinels')
})

test('a limit of a network below that of a narrower one is refused', (t) => {
  assert.deepEqual(violationsOf(t, 'signIn: { perAddress: 5000, perAccountAndAddress: 300 }'), [])
  for (const [text, path] of [
    ['{ perNetwork: 49 }', 'signIn.perNetwork'],
    ['{ perAccountAndSite: 8, perAccountAndNetwork: 7 }', 'signIn.perAccountAndNetwork'],
    ['{ clientSecrets: { perAddress: 9, perSite: 8 } }', 'signIn.clientSecrets.perSite'],
    ['{ userCodes: { perAddress: 9, perNetwork: 8 } }', 'signIn.userCodes.perNetwork'],
  ] as const) {
    const violations = violationsOf(t, `signIn: ${text}`)
    assert.deepEqual(broken(violations), [`${path}: sign-in-limits`])
    assert.match(violations[0]?.fix ?? '', new RegExp(`^set ${path} to at least \\d+, or to auto$`))
  }
  assert.deepEqual(violationsOf(t, 'signIn: { perNetwork: 50, perSite: 50 }'), [])
  assert.deepEqual(broken(violationsOf(t, 'signIn: { perSite: many }')), ['signIn.perSite: format'])
})

test('two listeners with the same port are refused, unless they take any free one', (t) => {
  const ports = (http: string, management: string) =>
    broken(violationsOf(t, `http: { ${http} }\nmanagement: { ${management} }`))
  assert.deepEqual(ports('port: 9090', 'port: 9090'), ['management.port: ports'])
  assert.deepEqual(ports("port: 9090, host: '::'", 'port: 9090'), ['management.port: ports'])
  assert.deepEqual(ports('port: 9090, host: localhost', 'port: 9090'), ['management.port: ports'])
  assert.deepEqual(ports("port: 9090, host: '::1'", 'port: 9090, host: localhost'), [
    'management.port: ports',
  ])
  assert.deepEqual(ports("port: 9090, host: '::1'", 'port: 9090'), [])
  assert.deepEqual(ports('port: 9090, host: 127.0.0.2', 'port: 9090'), [])
  assert.deepEqual(ports('port: 0', 'port: 0'), [])
})

test('a Redis Cluster with a database other than 0 is refused', (t) => {
  const cluster = (url: string) => violationsOf(t, `redis: { url: "${url}", cluster: ["a:6379"] }`)
  assert.deepEqual(cluster('rediss://user:secret@default/0'), [])
  const [violation] = cluster('redis://user:secret@default/3')
  assert.equal(violation?.rule, 'redis-database')
  assert.ok(!JSON.stringify(violation).includes('secret'))
  assert.deepEqual(violationsOf(t, 'redis: { url: "redis://a/3" }'), [])
  assert.deepEqual(broken(violationsOf(t, 'redis: { url: "redis://a/three" }')), [
    'redis.url: format',
  ])
})
