import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { pino } from 'pino'
import { freePort } from '../../lab/free-port.ts'
import { addPerson, PERSON, REDIRECT_URI, startTestServer, testSettings } from '../../lab/server.ts'
import { temporaryFolder } from '../../lab/temporary.ts'
import { createUserAgent, type UserAgent } from '../../lab/user-agent.ts'
import { renewPassword, type Surroundings, unlockAccount } from '../../src/accounts/operate.ts'
import { createPasswords } from '../../src/accounts/password.ts'
import { systemClock } from '../../src/clock.ts'
import { startServer } from '../../src/server/server.ts'
import { openStores } from '../../src/server/stores.ts'
import { replaceAccount } from '../support/memory-accounts.ts'

/** Passwords that are guessed over HTTP, from behind one reverse proxy. */

const query = new URLSearchParams({
  client_id: 'web',
  response_type: 'code',
  scope: 'openid',
  redirect_uri: REDIRECT_URI,
  prompt: 'login',
})

async function behindProxy(path = '') {
  const port = await freePort()
  const http = { port, host: 'localhost', trustedProxies: 1 }
  return { issuer: `http://localhost:${port}${path}`, http }
}

/** Opens the sign-in page and sends its form, as a proxy at `forwardedFor` would pass it on. */
async function openSignIn(issuer: string, agent: UserAgent = createUserAgent()) {
  const { url } = await agent.open(`${issuer}/auth?${query}`, new URL(issuer).origin)
  return async (username: string, password: string, forwardedFor: string) =>
    (
      await agent.request(url, {
        method: 'POST',
        headers: { origin: new URL(issuer).origin, 'x-forwarded-for': forwardedFor },
        body: new URLSearchParams({ username, password, action: 'sign-in' }),
      })
    ).status
}

describe('wrong passwords through a proxy', () => {
  let stop: () => Promise<void>
  let issuer: string
  const lines: Record<string, unknown>[] = []
  before(async () => {
    const folder = await temporaryFolder()
    const config = await testSettings(folder.path, await behindProxy())
    await addPerson(config)
    const stream = { write: (line: string) => void lines.push(JSON.parse(line)) }
    const server = await startServer(config, { log: pino({ level: 'info' }, stream) })
    issuer = config.issuer
    stop = async () => {
      await server.close()
      await folder.remove()
    }
  })
  after(() => stop())

  const crowds: Readonly<Record<string, [(index: number) => string, RegExp]>> = {
    'names a port, another one each time': [
      (index) => `203.0.113.8:${40_000 + index}`,
      /^203\.0\.113\.8$/,
    ],
    'names the port of an IPv6 address': [
      (index) => `[2001:DB8:3::8]:${40_000 + index}`,
      /^2001:db8:3::8$/,
    ],
    'writes IPv4 as IPv6': [
      (index) => `"[::ffff:203.0.114.8]:${40_000 + index}"`,
      /^203\.0\.114\.8$/,
    ],
    'hides the address behind another name each time': [
      (index) => `_hidden${index}`,
      /^(127\.0\.0\.1|::1)$/,
    ],
    'passes on what the client made up': [
      (index) => `fake${index}, 203.0.115.8`,
      /^203\.0\.115\.8$/,
    ],
  }
  for (const [what, [address, logged]] of Object.entries(crowds)) {
    it(`are limited and logged by address where the proxy ${what}`, async () => {
      const from = lines.length
      const signIn = await openSignIn(issuer)
      const statuses: number[] = []
      for (let index = 0; index < 60; index += 1) {
        statuses.push(await signIn(`${what} ${index}`, 'wrong', address(index)))
      }
      assert.equal(statuses.filter((status) => status === 401).length, 50)
      assert.equal(statuses.at(-1), 429)
      const told = lines.slice(from).filter(({ msg }) => /^sign-in/.test(String(msg)))
      for (const line of told) assert.match(String(line.address), logged)
    })
  }

  it('are told in the log now and then, however many they are', () => {
    assert.ok(lines.some(({ msg }) => /^sign-in/.test(String(msg))))
  })
})

describe('a guesser', () => {
  it('does not fill the log with passwords, client secrets or user codes', async () => {
    const lines: string[] = []
    await using folder = await temporaryFolder()
    const signIn = { perAddress: 3, clientSecrets: { perClientAndAddress: 3 } }
    const config = await testSettings(folder.path, { ...(await behindProxy()), signIn })
    const stream = { write: (line: string) => void lines.push(line) }
    const server = await startServer(config, { log: pino({ level: 'info' }, stream) })
    try {
      const start = performance.now()
      const enter = await openSignIn(config.issuer)
      const secret = () =>
        fetch(`${config.issuer}/token`, {
          method: 'POST',
          headers: { 'x-forwarded-for': '203.0.113.8' },
          body: new URLSearchParams({
            grant_type: 'client_credentials',
            client_id: 'machine',
            client_secret: 'wrong-secret-of-a-guesser',
          }),
        }).then((answer) => answer.text())
      for (let round = 0; round < 20; round += 1) {
        const names = Array.from({ length: 10 }, (_, index) => `typed ${round} ${index}`)
        await Promise.all(names.map((name) => enter(name, 'wrong-password', '203.0.113.8')))
        await Promise.all(names.map(secret))
      }
      const seconds = (performance.now() - start) / 1000
      // Of each kind 20 lines at once, and then one a second.
      for (const kind of [/sign-in limited/, /a client is limited/]) {
        const count = lines.filter((line) => kind.test(line)).length
        assert.ok(count > 0 && count <= 21 + seconds, `${kind}: ${count} in ${seconds} s`)
      }
      assert.doesNotMatch(lines.join(''), /typed|wrong-password|wrong-secret/)
    } finally {
      await server.close()
    }
  })
})

describe('a browser that signed in before', () => {
  /** A server whose account is soon limited, and a way to limit it. */
  async function start() {
    const signIn = { perAccount: 6, perKnownBrowser: 4 }
    const keyturn = await startTestServer({ settings: { ...(await behindProxy('/op')), signIn } })
    const { issuer } = keyturn.config
    return {
      issuer,
      config: keyturn.config,
      lockOut: async () => {
        const signIn = await openSignIn(issuer)
        for (let index = 0; index < 7; index += 1) {
          await signIn(PERSON.username, 'wrong', `198.51.${index}.1`)
        }
        const right = await signIn(PERSON.username, PERSON.password, '192.0.2.1')
        assert.equal(right, 429, 'the account is not limited')
      },
      /** The cookie of a browser that has just signed in. */
      knownCookie: async () => {
        const agent = createUserAgent()
        const signIn = await openSignIn(issuer, agent)
        assert.equal(await signIn(PERSON.username, PERSON.password, '203.0.113.1'), 303)
        const [key, cookie] = [...agent.cookies].find(([key]) => /keyturn_known_/.test(key)) ?? []
        assert(key && cookie)
        return { key, cookie }
      },
      [Symbol.asyncDispose]: () => keyturn[Symbol.asyncDispose](),
    }
  }

  it('signs in while the account is limited, from wherever it is', async () => {
    await using keyturn = await start()
    const { key, cookie } = await keyturn.knownCookie()
    await keyturn.lockOut()
    const agent = createUserAgent()
    agent.cookies.set(key, cookie)
    const signIn = await openSignIn(keyturn.issuer, agent)
    assert.equal(await signIn(PERSON.username, PERSON.password, '198.51.1.1'), 303)
  })

  it('has limits of its own, and only for its own account', async () => {
    await using keyturn = await start()
    const { key, cookie } = await keyturn.knownCookie()
    const agent = createUserAgent()
    agent.cookies.set(key, cookie)
    const signIn = await openSignIn(keyturn.issuer, agent)
    const statuses: number[] = []
    for (let index = 0; index < 5; index += 1) {
      statuses.push(await signIn(PERSON.username, 'wrong', `192.0.${index}.2`))
    }
    assert.deepEqual(statuses, [401, 401, 401, 401, 429])
    for (let index = 0; index < 7; index += 1) {
      statuses.push(await signIn('somebody else', 'wrong', `192.0.${index}.2`))
    }
    assert.deepEqual(statuses.slice(5), [401, 401, 401, 401, 401, 401, 429])
  })

  it('is not one that says so without a signature of this issuer', async () => {
    await using keyturn = await start()
    await using another = await start()
    const { key, cookie } = await keyturn.knownCookie()
    const foreign = await another.knownCookie()
    await keyturn.lockOut()
    const [payload = '', signature = ''] = cookie.value.split('.')
    const rows = JSON.parse(Buffer.from(payload, 'base64url').toString())
    rows[0][1] = 'another browser'
    const other = Buffer.from(JSON.stringify(rows)).toString('base64url')
    for (const value of [
      payload,
      `${payload}.`,
      `${payload}.x`,
      `${other}.${signature}`,
      `${cookie.value}.`,
      foreign.cookie.value,
      '.',
      '%',
    ]) {
      const agent = createUserAgent()
      const signIn = await openSignIn(keyturn.issuer, agent)
      agent.cookies.set(key, { ...cookie, value })
      assert.equal(await signIn(PERSON.username, PERSON.password, '192.0.2.9'), 429, value)
    }
  })

  it('gets a cookie for sign-in pages alone, which scripts and other sites do not have', async () => {
    await using keyturn = await start()
    const agent = createUserAgent()
    const { origin } = new URL(keyturn.issuer)
    const { url } = await agent.open(`${keyturn.issuer}/auth?${query}`, origin)
    const answer = await agent.request(url, {
      method: 'POST',
      headers: { origin },
      body: new URLSearchParams({ ...PERSON, action: 'sign-in' }),
    })
    const set = answer.headers.getSetCookie().filter((line) => line.includes('keyturn_known_'))
    assert.equal(set.length, 1)
    const [cookie = ''] = set
    assert.match(cookie, /; path=\/op\/interaction;/)
    assert.match(cookie, /; samesite=strict/i)
    assert.match(cookie, /; httponly/i)
    const expires = Date.parse(/expires=([^;]+)/i.exec(cookie)?.[1] ?? '')
    assert.ok(Math.abs(expires - Date.now() - 30 * 86_400_000) < 60_000)
  })

  it('or not, its account is let in again by an operator who unlocks it or sets a new password', async () => {
    await using keyturn = await start()
    const stores = (await openStores(keyturn.config, systemClock)).of(keyturn.config.issuer)
    try {
      const { accounts, artifacts } = stores
      const surroundings: Surroundings = {
        accounts,
        order: { actor: 'bob', reason: 'she called' },
        passwords: createPasswords(keyturn.config.password.argon2),
        endSessions: (id) => artifacts.forget('accountId', id),
        claimNames: [],
        now: systemClock.now(),
      }
      const account = await accounts.findByUsername(PERSON.username)
      assert(account)
      await keyturn.lockOut()
      await unlockAccount(account, surroundings)
      const signIn = await openSignIn(keyturn.issuer)
      assert.equal(await signIn(PERSON.username, PERSON.password, '192.0.2.1'), 303)
      await keyturn.lockOut()
      const { oneTimePassword } = await renewPassword(account, surroundings)
      const again = await openSignIn(keyturn.issuer)
      assert.equal(await again(PERSON.username, oneTimePassword, '192.0.2.1'), 303)
    } finally {
      await stores.close()
    }
  })

  it('is no more once its account has a new password', async () => {
    await using keyturn = await start()
    const { key, cookie } = await keyturn.knownCookie()
    await keyturn.lockOut()
    const stores = (await openStores(keyturn.config, systemClock)).of(keyturn.config.issuer)
    const password = 'a new password of the operator'
    try {
      const account = await stores.accounts.findByUsername(PERSON.username)
      assert(account)
      const passwords = createPasswords(keyturn.config.password.argon2)
      const passwordHash = await passwords.hash(password)
      await replaceAccount(stores.accounts, { ...account, passwordHash })
    } finally {
      await stores.close()
    }
    const agent = createUserAgent()
    agent.cookies.set(key, cookie)
    const signIn = await openSignIn(keyturn.issuer, agent)
    assert.equal(await signIn(PERSON.username, password, '192.0.2.1'), 429)
  })
})
