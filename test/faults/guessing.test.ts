import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { type CryptoKey, exportJWK, type JWK, SignJWT } from 'jose'
import { freePort } from '../../lab/free-port.ts'
import {
  CLIENTS,
  PERSON,
  REDIRECT_URI,
  SECRET,
  startTestServer,
  type TestServer,
} from '../../lab/server.ts'
import { createUserAgent, signIn } from '../../lab/user-agent.ts'

/** Secrets and codes that are guessed over HTTP, from behind one reverse proxy. */

const grant = { grant_type: 'client_credentials' }
const machine = (client_id: string, changes: object = {}) => ({
  client_id,
  client_secret: SECRET,
  redirect_uris: [],
  response_types: [],
  grant_types: ['client_credentials', 'urn:ietf:params:oauth:grant-type:device_code'],
  ...changes,
})
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const otherRsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const symmetric = (text: string) => new TextEncoder().encode(text)

let keyturn: TestServer
before(async () => {
  const jwk: JWK = { ...(await exportJWK(rsa.publicKey)), alg: 'RS256', use: 'sig', kid: 'one' }
  const names = ['basic', 'busy', 'crowd', 'neighbour', 'public']
  const endpoints = ENDPOINTS.map(({ path }) => machine(`post ${path}`, AT_POST))
  const port = await freePort()
  keyturn = await startTestServer({
    settings: {
      issuer: `http://localhost:${port}`,
      http: { port, host: 'localhost', trustedProxies: 1 },
      clients: [
        ...CLIENTS,
        ...names.map((name) => machine(name)),
        ...endpoints,
        machine('jwt', { token_endpoint_auth_method: 'client_secret_jwt' }),
        machine('key', {
          token_endpoint_auth_method: 'private_key_jwt',
          client_secret: undefined,
          jwks: { keys: [jwk] },
        }),
      ],
    },
  })
})
after(() => keyturn[Symbol.asyncDispose]())

const AT_POST = { token_endpoint_auth_method: 'client_secret_post' }
const ENDPOINTS = [
  { path: '/token', body: grant },
  { path: '/token/introspection', body: { token: 'x' } },
  { path: '/token/revocation', body: { token: 'x' } },
  { path: '/request', body: { response_type: 'code' } },
  { path: '/device/auth', body: { scope: 'openid' } },
] as const

interface Answer {
  readonly status: number
  readonly retryAfter: number
  readonly error: string | undefined
}

async function post(
  path: string,
  from: string,
  body: Record<string, string>,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await fetch(`${keyturn.issuer}${path}`, {
    method: 'POST',
    headers: { 'x-forwarded-for': from, ...headers },
    body: new URLSearchParams(body),
  })
  const text = await response.text()
  return {
    status: response.status,
    retryAfter: Number(response.headers.get('retry-after')),
    error: text === '' ? undefined : JSON.parse(text).error,
  }
}

const basic = (id: string, secret: string) => ({
  authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
})
const asBasic = (id: string, secret: string, from: string) =>
  post('/token', from, grant, basic(id, secret))

async function assertion(client: string, key: CryptoKey | Uint8Array, alg: string) {
  const { issuer } = keyturn
  const jwt = new SignJWT({ jti: crypto.randomUUID() })
    .setProtectedHeader(alg === 'RS256' ? { alg, kid: 'one' } : { alg })
    .setIssuer(client)
    .setSubject(client)
    .setAudience(issuer)
    .setIssuedAt()
    .setExpirationTime('1m')
  return {
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: await jwt.sign(key),
  }
}

/** Guesses one after the other. @returns the status of each */
async function guess(count: number, one: (index: number) => Promise<Answer>) {
  const statuses: number[] = []
  for (let index = 0; index < count; index += 1) statuses.push((await one(index)).status)
  return statuses
}

const limitedAfter = (count: number, of: number) => [
  ...Array(count).fill(401),
  ...Array(of - count).fill(429),
]

describe('wrong client secrets', () => {
  for (const { path, body } of ENDPOINTS) {
    it(`at ${path} are limited where they come from, and the right one only there`, async () => {
      const client_id = `post ${path}`
      const from = (address: string, client_secret: string) =>
        post(path, address, { ...body, client_id, client_secret })
      const statuses = await guess(25, (index) => from('203.0.113.9', `wrong ${index}`))
      assert.deepEqual(statuses, limitedAfter(20, 25))
      const right = await from('203.0.113.9', SECRET)
      assert.equal(right.status, 429)
      assert.equal(right.error, 'invalid_client')
      assert.ok(right.retryAfter > 0 && right.retryAfter <= 60, String(right.retryAfter))
      for (const elsewhere of ['198.51.100.1', '2001:db8::1', '203.0.113.10']) {
        const { status, error } = await from(elsewhere, SECRET)
        assert.ok(status !== 429 && error !== 'invalid_client', `${elsewhere}: ${status} ${error}`)
      }
    })
  }

  it('in the Authorization header are the same guesses, in whatever network they move about', async () => {
    const from = (index: number) => `[2001:db8:5:${index.toString(16)}00::1]:${40_000 + index}`
    const statuses = await guess(90, (index) => asBasic('basic', `wrong ${index}`, from(index)))
    assert.deepEqual(statuses, limitedAfter(80, 90))
    assert.equal((await asBasic('basic', SECRET, '2001:db8:5:ffff::1')).status, 429)
    assert.equal((await asBasic('basic', SECRET, '2001:db8:6::1')).status, 200)
  })

  it('of one client do not limit another one at the same address', async () => {
    await guess(25, (index) => asBasic('crowd', `wrong ${index}`, '192.0.2.77'))
    assert.equal((await asBasic('neighbour', SECRET, '192.0.2.77')).status, 200)
    const unknown = await guess(130, () => asBasic('nobody', 'x', '192.0.2.77'))
    assert.deepEqual(new Set(unknown), new Set([401]))
    assert.equal((await asBasic('neighbour', SECRET, '192.0.2.77')).status, 200)
  })

  it('that come at once tell no more than those one after the other', async () => {
    const wrong = Array.from({ length: 150 }, (_, index) =>
      asBasic('crowd', `wrong ${index}`, '192.0.2.200'),
    )
    const right = asBasic('crowd', SECRET, '192.0.2.200')
    const statuses = (await Promise.all(wrong)).map(({ status }) => status)
    assert.equal(statuses.filter((status) => status === 401).length, 20)
    assert.equal(statuses.filter((status) => status === 429).length, 130)
    assert.ok([200, 429].includes((await right).status))
  })

  it('are not what a busy client has: it is never limited', async () => {
    const answers: Answer[] = []
    for (let round = 0; round < 8; round += 1) {
      const many = Array.from({ length: 50 }, () => asBasic('busy', SECRET, '192.0.2.5'))
      answers.push(...(await Promise.all(many)))
    }
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
  })

  it('do not limit public clients, which have none', async () => {
    const begin = () => post('/device/auth', '192.0.2.90', { client_id: 'tv', scope: 'openid' })
    assert.deepEqual(new Set(await guess(30, begin)), new Set([200]))
  })

  it('are counted as wrong and as limited', async () => {
    const text = await keyturn.server.registry.getSingleMetricAsString('keyturn_guesses_total')
    assert.match(text, /\{kind="client",outcome="wrong"\} [1-9]/)
    assert.match(text, /\{kind="client",outcome="limited"\} [1-9]/)
  })
})

describe('wrong client assertions', () => {
  const cases = {
    jwt: [symmetric('a wrong secret that is long enough'), symmetric(SECRET), 'HS256'],
    key: [otherRsa.privateKey, rsa.privateKey, 'RS256'],
  } as const
  for (const [client, [wrong, right, alg]] of Object.entries(cases)) {
    it(`of a client that signs with ${alg} are limited where they come from`, async () => {
      const from = async (address: string, key: typeof wrong | typeof right) =>
        post('/token', address, { ...grant, ...(await assertion(client, key as Uint8Array, alg)) })
      const statuses = await guess(25, () => from('203.0.113.40', wrong))
      assert.deepEqual(statuses, limitedAfter(20, 25))
      assert.equal((await from('203.0.113.40', right)).status, 429)
      assert.equal((await from('198.51.100.40', right)).status, 200)
    })
  }
})

describe('wrong user codes', () => {
  /** A browser at some address, on the page for codes. */
  async function atDevicePage(address: string, agent = createUserAgent()) {
    const url = `${keyturn.issuer}/device`
    const headers = { 'x-forwarded-for': address }
    const xsrfIn = (html: string) => /name="xsrf" value="([^"]+)"/.exec(html)?.[1]
    let xsrf = xsrfIn(await (await agent.request(url, { headers })).text()) ?? ''
    return async (user_code: string) => {
      const body = new URLSearchParams({ xsrf, user_code })
      const response = await agent.request(url, { method: 'POST', headers, body })
      const text = await response.text()
      xsrf = xsrfIn(text) ?? xsrf
      const problem = /role="alert"[^>]*>([^<]*)</.exec(text)?.[1]
      const retryAfter = Number(response.headers.get('retry-after'))
      return { status: response.status, problem, text, retryAfter }
    }
  }

  it('are limited where they come from, in all browsers there, and the right one only there', async () => {
    const begun = await fetch(`${keyturn.issuer}/device/auth`, {
      method: 'POST',
      body: new URLSearchParams({ client_id: 'tv', scope: 'openid' }),
    })
    const { user_code } = (await begun.json()) as { user_code: string }
    const enter = await atDevicePage('203.0.113.60')
    const statuses: number[] = []
    for (let index = 0; index < 24; index += 1) {
      const code = `BCDF-${'GHJKLMNPQRSTVWXZ'[index % 16]}BCD`
      statuses.push((await enter(code)).status)
    }
    assert.deepEqual(statuses, [...Array(20).fill(200), ...Array(4).fill(429)])
    const another = await (await atDevicePage('203.0.113.60'))(user_code)
    assert.equal(another.status, 429)
    assert.equal(another.problem, 'Too many wrong codes. Please try again in 15 minutes.')
    assert.ok(another.retryAfter > 60 && another.retryAfter <= 900)
    const elsewhere = await (await atDevicePage('198.51.100.60'))(user_code)
    assert.equal(elsewhere.status, 200)
    assert.ok(elsewhere.text.includes(user_code), 'the code is not shown for comparison')
  })

  it('do not keep out who is signed in already, and has a limit of the own account', async () => {
    const agent = createUserAgent()
    const { issuer } = keyturn.config
    const query = new URLSearchParams({
      client_id: 'web',
      response_type: 'code',
      scope: 'openid',
      redirect_uri: REDIRECT_URI,
    })
    await signIn(agent, `${issuer}/auth?${query}`, PERSON)
    const stranger = await atDevicePage('203.0.115.60')
    for (let index = 0; index < 21; index += 1) await stranger('WRNG-CDFG')
    assert.equal((await stranger('WRNG-CDFG')).status, 429)
    const enter = await atDevicePage('203.0.115.60', agent)
    const statuses: number[] = []
    for (let index = 0; index < 22; index += 1) statuses.push((await enter('WRNG-CDFG')).status)
    assert.deepEqual(statuses, [...Array(20).fill(200), 429, 429])
  })

  it('from many addresses of one network are limited together', async () => {
    const entries = await Promise.all(
      Array.from({ length: 5 }, (_, index) => atDevicePage(`2001:db8:9:${index + 1}00::1`)),
    )
    const statuses: number[] = []
    for (const enter of entries) {
      for (let index = 0; index < 18; index += 1) statuses.push((await enter('WRNG-CDFG')).status)
    }
    assert.equal(statuses.filter((status) => status !== 429).length, 80)
  })

  it('that come at once are no more than that', async () => {
    const enter = await atDevicePage('203.0.114.60')
    const answers = await Promise.all(Array.from({ length: 60 }, () => enter('WRNG-CDFG')))
    assert.equal(answers.filter(({ status }) => status !== 429).length, 20)
  })
})
