import assert from 'node:assert/strict'
import { test } from 'node:test'
import { oneIssuer } from '../../lab/one-issuer.ts'
import { loadConfig } from '../../src/config/load.ts'
import { ConfigInvalid } from '../../src/errors.ts'
import { broken, load, temporaryFile, violationsOf } from './sources.ts'

test('without a file and variables, the defaults are in effect', () => {
  const config = oneIssuer(loadConfig({ env: {} }))
  assert.equal(config.issuer, 'http://localhost:3000')
  assert.equal(config.http.port, 3000)
  assert.equal(config.rotation.cryptoperiod, 90 * 86_400)
  assert.equal(config.rotation.retention, 'auto')
  assert.deepEqual(config.origins, {})
})

test('a file replaces the defaults, and durations become seconds', (t) => {
  const config = load(t, 'tokens:\n  idToken: 30m\nclaims:\n  phone: [phone_number]\n')
  assert.equal(config.tokens.idToken, 1800)
  assert.equal(config.tokens.accessToken, 3600)
  assert.deepEqual(Object.keys(config.claims), ['profile', 'email', 'address', 'phone'])
})

test('an empty section changes nothing, and neither does a file of comments alone', (t) => {
  assert.equal(load(t, 'http:\n  # port: 1\n').http.port, 3000)
  assert.equal(load(t, '# http: { port: 1 }\n').http.port, 3000)
})

test('an empty file is refused, because it may be half-written', (t) => {
  for (const text of ['\n', ' \n\t\n', '\u{FEFF}']) {
    const [violation] = violationsOf(t, text)
    assert.equal(violation?.rule, 'config-file')
    assert.equal(violation?.message, 'the config file is empty')
  }
  const file = temporaryFile(t, '')
  assert.throws(() => loadConfig({ file, env: {} }), ConfigInvalid)
})

test('a setting without a value is refused, not ignored', (t) => {
  assert.deepEqual(broken(violationsOf(t, 'http:\n  port:\n')), ['http.port: type'])
})

test('KEYTURN_CONFIG names the file, unless the caller does', (t) => {
  const one = temporaryFile(t, 'http: { port: 1 }')
  const two = temporaryFile(t, 'http: { port: 2 }')
  assert.equal(loadConfig({ env: { KEYTURN_CONFIG: one } }).http.port, 1)
  assert.equal(loadConfig({ file: two, env: { KEYTURN_CONFIG: one } }).http.port, 2)
  assert.equal(loadConfig({ env: { KEYTURN_CONFIG: '' } }).http.port, 3000)
})

test('the rings of a file replace the default rings, in order, except for the cookie ring', (t) => {
  const { rings } = load(t, 'rotation:\n  rings:\n    sig/PS256: {}\n    sig/RS256:\n').rotation
  assert.deepEqual(rings, {
    'sig/PS256': {},
    'sig/RS256': {},
    cookie: { cryptoperiod: 30 * 86_400, retention: 'auto' },
  })
  assert.deepEqual(Object.keys(rings), ['sig/PS256', 'sig/RS256', 'cookie'])
})

test('the configuration is deeply frozen', (t) => {
  const config = load(
    t,
    'clients: [{ client_id: a, client_secret: s, redirect_uris: [https://a.example/] }]',
  )
  const frozen = (value: unknown): boolean =>
    typeof value !== 'object' ||
    value === null ||
    (Object.isFrozen(value) && Object.values(value).every(frozen))
  assert.ok(frozen(config))
})

test('a file that does not exist is a violation', () => {
  assert.throws(
    () => loadConfig({ file: '/nowhere/keyturn.yaml', env: {} }),
    (error) => {
      assert.ok(error instanceof ConfigInvalid)
      const [violation] = error.violations
      assert.equal(violation?.rule, 'config-file')
      assert.equal(violation.path, '/nowhere/keyturn.yaml')
      assert.match(violation.message, /does not exist/)
      return true
    },
  )
})

test('a directory in the place of a file is a violation', () => {
  assert.throws(() => loadConfig({ file: '/', env: {} }), /cannot be read: EISDIR/)
})

test('only a config file that does not exist is to be created', () => {
  for (const [file, told] of [
    ['/nowhere/keyturn.yaml', /does not exist\n +fix: create \/nowhere\/keyturn\.yaml, or name/],
    ['/dev', /cannot be read: EISDIR\n +fix: mend \/dev, or name another file/],
    ['/dev/null', /is empty\n +fix: mend \/dev\/null, or name another file/],
    ['', /"": the config file has no name\n +fix: name another file/],
  ] as const) {
    assert.throws(() => loadConfig({ file, env: {} }), told)
  }
})

test('malformed YAML is a violation with line and column, without the text', (t) => {
  const violations = violationsOf(t, 'http:\n  port: 1\n bad: "s3cret\n')
  assert.ok(violations.length > 0)
  assert.ok(violations.every((violation) => violation.rule === 'yaml'))
  assert.match(violations[0]?.message ?? '', /line \d+, column \d+: /)
  assert.doesNotMatch(JSON.stringify(violations), /s3cret/)
})

for (const [what, text] of [
  ['a list', '- issuer'],
  ['a word', 'issuer'],
  ['an alias that means nothing', 'issuer: *nothing'],
  ['a name that stands twice', 'issuer: a\nissuer: b'],
  ['a map as a name', '? [a, b]\n: c'],
  ['a tag', 'issuer: !env ISSUER'],
  ['an alias without an end', 'clients: &all [*all]'],
  ['two documents', 'http: {}\n---\nhttp: {}'],
] as const) {
  test(`${what} is not a config file`, (t) => {
    const violations = violationsOf(t, text)
    assert.ok(violations.length > 0)
    assert.ok(violations.every((violation) => violation.rule === 'yaml'))
  })
}

const UNKNOWN = [
  ['isuer: x', 'isuer', 'issuer'],
  ['http:\n  prot: 1', 'http.prot', 'http.port'],
  ['jwksMaxAge: 15m', 'jwksMaxAge', 'rotation.jwksMaxAge'],
  ['tokens: { acces_token: 1h }', 'tokens.acces_token', 'tokens.accessToken'],
  [
    'rotation: { rings: { sig/RS265: {} } }',
    'rotation.rings.sig/RS265',
    'rotation.rings.sig/RS256',
  ],
  [
    'rotation: { rings: { sig/RS256: { retenton: 1d } } }',
    'rotation.rings.sig/RS256.retenton',
    'rotation.rings.sig/RS256.retention',
  ],
  ['resources: [{ identifer: x }]', 'resources.0.identifer', 'resources.0.identifier'],
  ['__proto__: { polluted: 1 }', '__proto__', undefined],
] as const

for (const [text, path, nearest] of UNKNOWN) {
  test(`an unknown setting ${path} is refused with its line and the nearest name`, (t) => {
    const violation = violationsOf(t, text).find((each) => each.path === path)
    assert.equal(violation?.rule, 'unknown-setting')
    assert.match(violation.message, /keyturn\.yaml, line [12]\)$/)
    if (nearest) assert.equal(violation.fix, `rename it to ${nearest}, or remove it`)
  })
}

for (const [text, fix] of [
  ['http.port: 3000', 'write port in the section http, or remove it'],
  ['http.limits.chunk: 9', 'write chunks in the section http.limits, or remove it'],
  ['http: { limits.chunks: 9 }', 'write chunks in the section http.limits, or remove it'],
  ['http: { <<: { port: 3000 } }', 'write the settings of the other map here'],
] as const) {
  test(`a name that YAML reads in another way than meant gets a fix that works: ${text}`, (t) => {
    assert.deepEqual(
      violationsOf(t, text).map((each) => each.fix),
      [fix],
    )
  })
}

test('a value without a word in JSON is shown as YAML writes it', (t) => {
  for (const value of ['.inf', '-.inf', '.nan']) {
    for (const violations of [
      violationsOf(t, `http: { port: ${value} }`),
      violationsOf(t, '', { KEYTURN_HTTP__PORT: value }),
    ]) {
      assert.ok(violations[0]?.message.startsWith(`it is ${value}, but`))
    }
  }
})

test('the former setting http.workers is refused in every source, with its replacement', (t) => {
  for (const [text, env] of [
    ['http: { workers: 1 }', {}],
    ['http: { workers: auto }', {}],
    ['', { KEYTURN_HTTP__WORKERS: '2' }],
  ] as const) {
    const violations = violationsOf(t, text, env)
    assert.deepEqual(broken(violations), ['http.workers: format'])
    const [{ message, fix } = { message: '', fix: '' }] = violations
    assert.match(message, /start it several times with the socket of one systemd unit/)
    assert.match(message, text ? /keyturn\.yaml, line 1\)$/ : /\(KEYTURN_HTTP__WORKERS\)$/)
    assert.equal(fix, 'remove http.workers')
  }
  const [{ fix } = { fix: '' }] = violationsOf(t, 'http: { worker: 1 }')
  assert.doesNotMatch(fix, /workers/, 'what is refused is proposed')
})

test('all problems of file, environment and rules between settings are reported at once', (t) => {
  const text = `
isuer: x
http: { port: 99999 }
rotation:
  propagation: 1m
  cryptoperiod: 90
tokens: { grant: 1h }
clients: [{ client_secret: s, redirect_uris: [https://a.example/] }]
log: { level: loud }`
  const env = { KEYTURN_HTTP__PROT: '1', KEYTURN_SWEEP__BATCH: 'many' }
  assert.deepEqual(broken(violationsOf(t, text, env)).toSorted(), [
    'KEYTURN_HTTP__PROT: unknown-setting',
    'clients.0.client_id: type',
    'http.port: range',
    'isuer: unknown-setting',
    'log.level: choice',
    'rotation.cryptoperiod: type',
    'rotation.propagation: propagation',
    'sweep.batch: type',
    'tokens.grant: grant',
  ])
})

test('a section that is not a map is reported as such, whatever the environment adds to it', (t) => {
  const env = { KEYTURN_HTTP__PORT: '1', KEYTURN_ROTATION__RINGS__SIG_ES512: '' }
  const text = 'http: 5\nrotation: { rings: [] }\nclients: 5\npassword: { argon2: [1] }'
  assert.deepEqual(broken(violationsOf(t, text, env)), [
    'http: type',
    'rotation.rings: type',
    'clients: type',
    'password.argon2: type',
  ])
})

test('a wrong value does not break rules between settings as well', (t) => {
  const text = 'tokens: { refreshToken: 30d, grant: 30 days }'
  assert.deepEqual(broken(violationsOf(t, text)), ['tokens.grant: format'])
})

for (const text of ['90', '90 d', '1.5h', '-1d', '1y', '90d ', '1h30m', '', '0s', '36501d']) {
  test(`"${text}" is not accepted as a duration`, (t) => {
    const violations = violationsOf(t, `tokens: { session: "${text}" }`)
    assert.deepEqual(broken(violations), ['tokens.session: format'])
  })
}

const ISSUERS = {
  'https://id.example.com': true,
  'https://id.example.com/op': true,
  'http://localhost:3000': true,
  'http://127.0.0.1:3000': true,
  'http://[::1]:3000': true,
  'http://id.example.com': false,
  'http://localhost.example.com': false,
  'https://id.example.com/': false,
  'https://id.example.com?a=b': false,
  'https://id.example.com#a': false,
  'https://u:p@id.example.com': false,
  'ftp://id.example.com': false,
  'id.example.com': false,
}

for (const [issuer, accepted] of Object.entries(ISSUERS)) {
  test(`${issuer} is ${accepted ? 'accepted' : 'refused'} as issuer`, (t) => {
    assert.deepEqual(
      broken(violationsOf(t, `issuer: "${issuer}"`)),
      accepted ? [] : ['issuer: format'],
    )
  })
}

test('a database is a SQLite file or a server with a database', (t) => {
  const cases: readonly (readonly [string, boolean])[] = [
    ['sqlite:./k.db', true],
    ['postgres://k:p@db:5432/k', true],
    ['postgresql://db/k', true],
    ['mysql://db/k', true],
    ['mariadb://db/k', true],
    ['cockroachdb://db/k', false],
    ['sqlite:', false],
    ['postgres://db', false],
    ['postgres:///k', false],
    ['oracle://db/k', false],
  ]
  for (const [url, accepted] of cases) {
    assert.deepEqual(
      broken(violationsOf(t, `database: { url: "${url}" }`)),
      accepted ? [] : ['database.url: format'],
      url,
    )
  }
})

test('a violation shows no secret, wherever it was written', (t) => {
  const text = `
seal: topsecret1
database: { url: "postgres://keyturn:topsecret2@db/keyturn" }
clients:
  - { client_secret: topsecret3, registration_access_token: topsecret4 }
  - topsecret5
  - { client_id: a, client_secret: [topsecret6] }
client: [{ client_secret: topsecret7 }]
resources: { client_secret: topsecret8 }
`
  const env = {
    KEYTURN_SEAL__KEY: 'topsecret9',
    KEYTURN_RESOURCES: '[topsecret10',
    KEYTURN_CLIENTS__0__CLIENT_SECRETS: 'topsecret11',
  }
  const violations = violationsOf(t, text, env)
  assert.ok(violations.length >= 9)
  assert.doesNotMatch(JSON.stringify(violations), /topsecret/)
  assert.doesNotMatch(new ConfigInvalid(violations).message, /topsecret/)
})

test('a password in a malformed URL is not shown either', (t) => {
  const cases = [
    'database: { url: "postgres://k:s3cr#et@db/k" }',
    'database: { url: "postgres://k:s3/cr?et@p@db/k x" }',
    'database: { url: "s3cret/alone" }',
    'redis: { url: "redis://:s3cr#et@r:6379" }',
    'redis: { url: "s3cret" }',
  ]
  for (const text of cases) {
    const violations = violationsOf(t, text)
    assert.equal(violations.length, 1, text)
    // Not only /s3/: the violation names a file of the test, whose folder may be called so by chance.
    assert.doesNotMatch(JSON.stringify(violations), /s3(cr|\/cr)/, text)
  }
})

test('a line break after the name of a config file is visible in the message', () => {
  assert.throws(
    () => loadConfig({ env: { KEYTURN_CONFIG: './k.yaml\n' } }),
    /create ".\/k.yaml\\n"/,
  )
})
