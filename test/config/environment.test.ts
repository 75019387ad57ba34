import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadConfig } from '../../src/config/load.ts'
import { broken, load, temporaryFile, violationsOf } from './sources.ts'

test('a variable replaces the value of the file', (t) => {
  const config = load(t, 'http: { port: 1, host: "::" }', { KEYTURN_HTTP__PORT: '8080' })
  assert.equal(config.http.port, 8080)
  assert.equal(config.http.host, '::')
  assert.deepEqual(config.origins['http.port'], {
    source: 'environment',
    name: 'KEYTURN_HTTP__PORT',
  })
  assert.equal(config.origins['http.host']?.source, 'file')
})

test('names are upper snake case, with two underscores between levels', () => {
  const config = loadConfig({
    env: {
      KEYTURN_ISSUER: 'https://id.example.com',
      KEYTURN_ROTATION__JWKS_MAX_AGE: '10m',
      KEYTURN_PASSWORD__ARGON2__MEMORY_KIB: '65536',
      KEYTURN_ROTATION__RINGS__SIG_RS256__CRYPTOPERIOD: '30d',
      KEYTURN_ROTATION__STANDBY: 'false',
      KEYTURN_SIGN_IN__PER_ACCOUNT: '7',
    },
  })
  assert.equal(config.issuers[0]?.issuer, 'https://id.example.com')
  assert.equal(config.rotation.jwksMaxAge, 600)
  assert.equal(config.password.argon2.memoryKiB, 65_536)
  assert.deepEqual(config.rotation.rings['sig/RS256'], { cryptoperiod: 30 * 86_400 })
  assert.deepEqual(config.rotation.rings['sig/ES256'], {})
  assert.equal(config.rotation.standby, false)
  assert.equal(config.signIn.perAccount, 7)
})

test('a variable adds a ring, and another replaces all of them', () => {
  const added = loadConfig({ env: { KEYTURN_ROTATION__RINGS__SIG_ML_DSA_44: '' } })
  assert.deepEqual(Object.keys(added.rotation.rings), [
    'sig/RS256',
    'sig/ES256',
    'cookie',
    'sig/ML-DSA-44',
  ])
  const replaced = loadConfig({
    env: {
      KEYTURN_ROTATION__RINGS__SIG_ED25519__CRYPTOPERIOD: '60d',
      KEYTURN_ROTATION__RINGS: '{ sig/Ed25519: {} }',
    },
  })
  assert.deepEqual(Object.keys(replaced.rotation.rings), ['sig/Ed25519', 'cookie'])
  assert.equal(replaced.rotation.rings['sig/Ed25519']?.cryptoperiod, 60 * 86_400)
})

test('a list is given in YAML flow style, and an entry of a list by its index', (t) => {
  const uris = ['https://a.example/']
  const clients = '[{ client_id: a, client_secret: s, redirect_uris: [https://a.example/] }]'
  const config = loadConfig({
    env: { KEYTURN_CLAIMS__PROFILE: '[name]', KEYTURN_CLIENTS: clients },
  })
  assert.deepEqual(config.claims.profile, ['name'])
  assert.deepEqual(config.clients, [{ client_id: 'a', client_secret: 's', redirect_uris: uris }])
  const file = load(
    t,
    `clients: [${clients.slice(1, -1)}, { client_id: b, redirect_uris: ${JSON.stringify(uris)} }]`,
    {
      KEYTURN_CLIENTS__1__CLIENT_SECRET: 'c',
    },
  )
  assert.deepEqual(file.clients, [
    { client_id: 'a', client_secret: 's', redirect_uris: uris },
    { client_id: 'b', client_secret: 'c', redirect_uris: uris },
  ])
})

test('text is taken as it is, not as YAML', () => {
  const { admin } = loadConfig({ env: { KEYTURN_ADMIN__USERNAME: '[0123: #x' } })
  assert.equal(admin.username, '[0123: #x')
  const keys = `{"keys":[{"kty":"oct","k":"${'A'.repeat(43)}"}]}`
  const { seal } = loadConfig({
    env: { KEYTURN_SEAL__PROTECTOR: 'environment', KEYTURN_SEAL__KEYS: keys },
  })
  assert.equal(seal.keys, keys)
})

test('the URL of Redis is text too: exactly as written, and not empty', (t) => {
  const redisUrl = (value: string) =>
    violationsOf(t, '', { KEYTURN_REDIS__URL: value }).map(({ message }) => message)
  for (const value of ['', 'null', '~', 'redis://r #x', ' redis://r', 'redis://r\n']) {
    assert.match(
      redisUrl(value).join(),
      /must be redis:.*KEYTURN_REDIS__URL/,
      JSON.stringify(value),
    )
  }
  const file = temporaryFile(t, 'redis://r \n', 'url')
  assert.deepEqual(broken(violationsOf(t, '', { KEYTURN_REDIS__URL_FILE: file })), [
    'redis.url: format',
  ])
  const config = loadConfig({ env: { KEYTURN_REDIS__URL: 'redis://r' } })
  assert.equal(config.redis.url, 'redis://r')
})

test('_FILE reads the value from a file, without the newline at its end', (t) => {
  const keys = 'A'.repeat(43)
  const env = {
    KEYTURN_SEAL__PROTECTOR: 'environment',
    KEYTURN_SEAL__KEYS_FILE: temporaryFile(t, `${keys}\n`, 'kek'),
    KEYTURN_HTTP__PORT_FILE: temporaryFile(t, '8080\r\n', 'port'),
  }
  const config = loadConfig({ env })
  assert.equal(config.seal.keys, keys)
  assert.equal(config.http.port, 8080)
})

test('seal.file is a setting of its own, not the seal from a file', (t) => {
  const { seal } = loadConfig({ env: { KEYTURN_SEAL__FILE: './kek' } })
  assert.equal(seal.file, './kek')
  const named = { KEYTURN_SEAL__FILE_FILE: temporaryFile(t, './other\n', 'name') }
  assert.equal(loadConfig({ env: named }).seal.file, './other')
})

test('a file that cannot be read and a value given twice are violations', (t) => {
  const env = {
    KEYTURN_ADMIN__USERNAME_FILE: '/nowhere/name',
    // It has no end.
    KEYTURN_ISSUER_FILE: '/dev/zero',
    KEYTURN_HTTP__PORT: '1',
    KEYTURN_HTTP__PORT_FILE: temporaryFile(t, '2', 'port'),
  }
  assert.deepEqual(broken(violationsOf(t, '', env)), [
    'KEYTURN_ADMIN__USERNAME_FILE: value-file',
    'KEYTURN_HTTP__PORT_FILE: set-twice',
    'KEYTURN_ISSUER_FILE: value-file',
  ])
})

for (const [name, nearest] of [
  ['KEYTURN_HTTP__PROT', 'KEYTURN_HTTP__PORT'],
  ['KEYTURN_HTTP_PORT', 'KEYTURN_HTTP__PORT'],
  ['KEYTURN_JWKS_MAX_AGE', 'KEYTURN_ROTATION__JWKS_MAX_AGE'],
  ['KEYTURN_ROTATION__RINGS__SIG_RS265__STANDBY', 'KEYTURN_ROTATION__RINGS__SIG_RS256__STANDBY'],
  ['KEYTURN_DATABASE__URI_FILE', 'KEYTURN_DATABASE__URL_FILE'],
  ['KEYTURN_SEAL_FILE', 'KEYTURN_SEAL__FILE'],
  ['keyturn_http__port', 'KEYTURN_HTTP__PORT'],
  ['Keyturn_Config', 'KEYTURN_CONFIG'],
] as const) {
  test(`the unknown variable ${name} is refused in favour of ${nearest}`, (t) => {
    const violations = violationsOf(t, '', { [name]: 'x' })
    assert.deepEqual(broken(violations), [`${name}: unknown-setting`])
    assert.equal(violations[0]?.fix, `use ${nearest}, or unset ${name}`)
  })
}

test('a value of the wrong kind is refused with the name of its variable', (t) => {
  const [violation] = violationsOf(t, '', { KEYTURN_HTTP__PORT: 'http' })
  assert.equal(violation?.path, 'http.port')
  assert.match(
    violation.message,
    /^it is "http", but must be a (whole )?number \(KEYTURN_HTTP__PORT\)$/,
  )
})

test('variables of other programs, and those of Kubernetes for a Service, are ignored', () => {
  const config = loadConfig({
    env: {
      PATH: '/bin',
      KEYTURNX: '1',
      KEYTURN_PORT: 'tcp://10.0.0.1:3000',
      KEYTURN_SERVICE_HOST: '10.0.0.1',
      KEYTURN_SERVICE_PORT_HTTP: '3000',
      KEYTURN_PORT_3000_TCP_ADDR: '10.0.0.1',
      KEYTURN_MANAGEMENT_SERVICE_PORT: '9090',
      KEYTURN_UNSET: undefined,
    },
  })
  assert.deepEqual(config.origins, {})
})

test('a setting is read even if its value looks like a variable of Kubernetes', (t) => {
  const env = { KEYTURN_HTTP__PORT: 'tcp://10.0.0.1:80' }
  const [violation] = violationsOf(t, '', env)
  assert.equal(violation?.path, 'http.port')
  assert.match(violation.message, /KEYTURN_HTTP__PORT/)
})
