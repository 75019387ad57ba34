import assert from 'node:assert/strict'
import { createHmac, generateKeyPairSync } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, beforeEach, describe, it, mock } from 'node:test'
import { gzipSync } from 'node:zlib'
import { SignJWT } from 'jose'
import Koa from 'koa'
import mount from 'koa-mount'
import Provider, { type Configuration } from 'oidc-provider'
import type { Account, AccountStore, ConsentStore } from '../../src/accounts/account-store.ts'
import { DEFAULT_ATTEMPT_LIMITS } from '../../src/accounts/attempts.ts'
import { createPasswords } from '../../src/accounts/password.ts'
import { createSignIn } from '../../src/accounts/sign-in.ts'
import { createAudience } from '../../src/http/audience.ts'
import { createLoadExistingGrant } from '../../src/http/consent.ts'
import { createFormSecrets } from '../../src/http/form-secret.ts'
import { interactionRoutes } from '../../src/http/interactions.ts'
import { errorPages, providerPages } from '../../src/http/pages.ts'
import { staticFiles } from '../../src/http/static-files.ts'
import { createViews, providerHeaders } from '../../src/http/views.ts'
import { createFindAccount, createInteractionPolicy } from '../../src/oidc/account.ts'
import type { Log } from '../../src/seldom-log.ts'
import { createAccount, createMemoryAccounts, replaceAccount } from '../support/memory-accounts.ts'

const RIGHT = 'correct horse battery staple'
const FRESH = 'purple monkey dishwasher'
const CALLBACK = 'https://notes.example.com/callback'
const API = 'https://api.example.com/'
const DESCRIBED = 'https://notes.example.com/api'
const passwords = createPasswords({ memoryKiB: 64, passes: 1, parallelism: 1 })
const clock = { now: () => Math.floor(Date.now() / 1000) }

/** A browser with cookies, without scripts, that stops at the door of other sites. */
interface Browser {
  go(path: string, options?: RequestInit): Promise<Page>
  /** Sends the form on the page with the named button. */
  send(page: Page, fields: Record<string, string>, headers?: Record<string, string>): Promise<Page>
}

interface Page {
  readonly url: URL
  readonly status: number
  readonly headers: Headers
  readonly html: string
}

let server: Server
let issuer: string
let accounts: AccountStore
let consents: ConsentStore
let ada: Account
let bob: Account
let logged: { level: string; details: Record<string, unknown>; message: string }[]
let open: () => Browser

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })

before(async () => {
  // oidc-provider warns of its in-memory adapter, once per provider.
  mock.method(console, 'warn', () => {})
  server = createServer((req, res) => handle(req, res)).listen(0, '127.0.0.1')
  await new Promise((listening) => server.once('listening', listening))
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
after(() => new Promise((closed) => server.close(closed).closeAllConnections()))

let handle: ReturnType<Koa['callback']>

const mac = (data: string) => createHmac('sha256', 'of this test').update(data).digest('base64url')

beforeEach(async () => {
  ;({ accounts, consents } = createMemoryAccounts())
  const passwordHash = await passwords.hash(RIGHT)
  ada = createAccount({ username: 'ada', claims: { email: 'ada@example.com' }, passwordHash })
  bob = createAccount({ username: 'bob', passwordHash, mustChangePassword: true })
  await accounts.add(ada)
  await accounts.add(bob)
  logged = []
  handle = createApp()
  open = openBrowser
})

function createApp(): ReturnType<Koa['callback']> {
  const write = (level: string) => (details: unknown, message?: string) =>
    void logged.push({ level, details: details as Record<string, unknown>, message: message ?? '' })
  const log = { info: write('info'), warn: write('warn'), error: write('error') } as Log
  const views = createViews()
  const pages = providerPages({ views, issuer, log })
  const keys = ['a key for the cookies of this test']
  const ttl = 3600
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: 'notes',
        client_name: 'Notes & <Friends>',
        client_secret: 'secret',
        policy_uri: 'https://notes.example.com/privacy?a&b',
        redirect_uris: [CALLBACK],
        post_logout_redirect_uris: ['https://notes.example.com/bye'],
        grant_types: ['authorization_code', 'urn:ietf:params:oauth:grant-type:device_code'],
      },
      {
        client_id: 'pocket',
        client_uri: 'https://pocket.example/',
        application_type: 'native',
        token_endpoint_auth_method: 'none',
        redirect_uris: ['com.example.pocket:/callback'],
      },
    ],
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256' }] },
    cookies: { keys },
    ttl: { Interaction: ttl, Session: ttl, Grant: ttl, DeviceCode: ttl },
    findAccount: createFindAccount(accounts),
    loadExistingGrant: createLoadExistingGrant(consents),
    interactions: { policy: createInteractionPolicy() },
    renderError: pages.renderError,
    claims: { openid: ['sub'], profile: ['name', 'preferred_username'], email: ['email'] },
    pkce: { required: () => false },
    features: {
      devInteractions: { enabled: false },
      claimsParameter: { enabled: true },
      rpInitiatedLogout: { enabled: true, ...pages.features.rpInitiatedLogout },
      deviceFlow: { enabled: true, ...pages.features.deviceFlow },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({ scope: 'read write', audience: API }),
      },
    },
  } satisfies Configuration)
  const signIn = createSignIn({
    accounts,
    password: passwords,
    limits: DEFAULT_ATTEMPT_LIMITS,
    clock,
  })
  const app = new Koa({ keys })
  app.silent = true
  app.use(errorPages({ views, audience: createAudience(issuer), log }))
  app.use(staticFiles())
  app.use(
    interactionRoutes({
      provider: () => provider,
      views,
      signIn,
      accounts,
      consents,
      clock,
      issuer,
      secrets: createFormSecrets(issuer, {
        sign: mac,
        verify: (data, given) => mac(data) === given,
      }),
      vocabulary: {
        claims: { profile: ['name'] },
        resources: [
          {
            identifier: DESCRIBED,
            name: 'Notes',
            scopeDescriptions: { read: 'read your <notes>' },
          },
        ],
      },
      log,
    }),
  )
  app.use(providerHeaders())
  app.use(mount(provider))
  return app.callback()
}

function openBrowser(): Browser {
  const jar = new Map<string, { value: string; path: string }>()

  async function go(path: string, options: RequestInit = {}): Promise<Page> {
    const url = new URL(path, issuer)
    const cookie = [...jar]
      .filter(([, { path }]) => url.pathname.startsWith(path))
      .map(([key, { value }]) => `${key.split(' ')[0]}=${value}`)
      .join('; ')
    const headers = { accept: 'text/html', cookie, ...options.headers }
    const response = await fetch(url, { ...options, headers, redirect: 'manual' })
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      const cookiePath = /; path=([^;]+)/i.exec(line)?.[1] ?? '/'
      if (value === '') jar.delete(`${name} ${cookiePath}`)
      else jar.set(`${name} ${cookiePath}`, { value, path: cookiePath })
    }
    const html = await response.text()
    const location = response.headers.get('location')
    if (location === null) return { url, status: response.status, headers: response.headers, html }
    const next = new URL(location, url)
    if (next.origin === issuer) return go(next.href)
    return { url: next, status: response.status, headers: response.headers, html: '' }
  }

  async function send(page: Page, fields: Record<string, string>, headers = {}): Promise<Page> {
    const hidden = [...page.html.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)"/g)]
    const action = /<form method="post" action="([^"]+)"/.exec(page.html)?.[1] ?? page.url.href
    const values = Object.fromEntries(hidden.map(([, name, value]) => [name, value]))
    const body = new URLSearchParams({ ...values, ...fields })
    const own = { origin: issuer, 'sec-fetch-site': 'same-origin' }
    return go(action, { method: 'POST', body, headers: sent({ ...own, ...headers }) })
  }

  return { go, send }
}

/** Without those that are empty. */
function sent(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== ''))
}

function authorization(params: Record<string, string> = {}): string {
  return `/auth?${new URLSearchParams({
    client_id: 'notes',
    response_type: 'code',
    scope: 'openid profile',
    redirect_uri: CALLBACK,
    ...params,
  })}`
}

const NOTHING = { oidcScopes: [], oidcClaims: [], resourceScopes: {} }
const signInAs = (username: string) => ({ action: 'sign-in', username, password: RIGHT })
const titleOf = ({ html }: Page) => /<h1>([^<]*)<\/h1>/.exec(html)?.[1]
const problemOf = ({ html }: Page) => /role="alert"[^>]*>([^<]*)</.exec(html)?.[1]
const permissionsOf = ({ html }: Page) =>
  [...html.matchAll(/<li>(?:<code>)?([^<]*)/g)].map(([, text]) => text)
const codeOf = ({ url }: Page) => url.searchParams.get('code')

/** As the client got it at an earlier sign-in. */
const idTokenOf = ({ id }: Account) =>
  new SignJWT()
    .setProtectedHeader({ alg: 'RS256' })
    .setIssuer(issuer)
    .setAudience('notes')
    .setSubject(id)
    .setIssuedAt()
    .setExpirationTime('1h')
    .sign(privateKey)

async function allowOnce(browser: Browser, params = {}): Promise<Page> {
  const consent = await browser.send(await browser.go(authorization(params)), signInAs('ada'))
  return browser.send(consent, { action: 'allow' })
}

describe('sign-in', () => {
  it('leads from the application through sign-in and consent back to the application', async () => {
    const browser = open()
    const signIn = await browser.go(authorization({ state: 'xyz' }))
    assert.equal(signIn.status, 200)
    assert.match(signIn.html, /to continue to <strong>Notes &amp; &lt;Friends&gt;<\/strong>/)
    const consent = await browser.send(signIn, signInAs('ada'))
    assert.equal(titleOf(consent), 'Allow Notes &amp; &lt;Friends&gt;?')
    const back = await browser.send(consent, { action: 'allow' })
    assert.equal(back.status, 303)
    assert.equal(back.url.origin + back.url.pathname, CALLBACK)
    assert.equal(back.url.searchParams.get('state'), 'xyz')
    assert(codeOf(back))
  })

  it('fills in the login hint as text and puts the cursor into the password', async () => {
    const page = await open().go(authorization({ login_hint: '"><b>ada' }))
    assert.match(page.html, /name="username"[^>]* value="&quot;&gt;&lt;b&gt;ada"/)
    assert.match(page.html, /id="password"[^>]* autofocus/)
  })

  it('goes on only as the person of the ID token that the client sends', async () => {
    const grace = createAccount({ username: 'grace', passwordHash: await passwords.hash(RIGHT) })
    await accounts.add(grace)
    const hinted = authorization({ id_token_hint: await idTokenOf(grace) })
    const problem = 'You are signed in as ada, but Notes &amp; &lt;Friends&gt; asks for grace.'

    const signedIn = open()
    await allowOnce(signedIn)
    for (const browser of [open(), signedIn]) {
      const page = await browser.go(hinted)
      assert.match(page.html, /name="username"[^>]* value="grace"/)
      assert.equal(problemOf(page), browser === signedIn ? problem : undefined)
      const again = await browser.send(page, signInAs('ada'))
      assert.equal(titleOf(again), 'Sign in')
      assert.equal(problemOf(again), problem)
      const resumed = await browser.go(`/auth/${again.url.pathname.split('/').at(-1)}`)
      assert.equal(titleOf(resumed), 'Sign in', 'without a sign-in')
      // The form that ends the session of the other person submits itself in a browser.
      const change = await browser.send(resumed, signInAs('grace'))
      const consent = await browser.send(change, {})
      assert.equal(titleOf(consent), 'Allow Notes &amp; &lt;Friends&gt;?')
      assert.match(consent.html, /Signed in as<\/dt><dd>grace</)
    }
  })

  it('says that the client asks for another person by the claim sub', async () => {
    const browser = open()
    const claims = JSON.stringify({ id_token: { sub: { value: bob.id } } })
    const page = await browser.send(await browser.go(authorization({ claims })), signInAs('ada'))
    assert.equal(
      problemOf(page),
      'You are signed in as ada, but Notes &amp; &lt;Friends&gt; asks for another person.',
    )
  })

  it('says the same for a wrong password, an unknown name and a disabled account', async () => {
    await replaceAccount(accounts, { ...bob, isDisabled: true })
    const pages = []
    for (const [username, password] of [
      ['ada', 'wrong'],
      ['nobody', 'wrong'],
      ['bob', RIGHT],
    ] as const) {
      const browser = open()
      const page = await browser.go(authorization())
      const again = await browser.send(page, { action: 'sign-in', username, password })
      assert.equal(again.status, 401)
      assert.match(again.html, new RegExp(`value="${username}"`))
      // The secret of a form is another one in each interaction.
      pages.push(again.html.replaceAll(username, '').replace(/name="xsrf" value="[^"]*"/, ''))
    }
    assert.equal(new Set(pages).size, 1)
    assert.match(pages[0] ?? '', /User name or password is not right\./)
  })

  it('says how long to wait after too many wrong passwords', async () => {
    const browser = open()
    let page = await browser.go(authorization())
    for (let count = 0; count < 6; count += 1)
      page = await browser.send(page, { action: 'sign-in', username: 'ada', password: 'wrong' })
    assert.equal(page.status, 429)
    const retryAfter = Number(page.headers.get('retry-after'))
    assert(retryAfter > 0 && retryAfter <= 900)
    assert.equal(problemOf(page), 'Too many attempts. Please try again in 15 minutes.')
  })

  it('goes back with access_denied when the person cancels', async () => {
    const browser = open()
    const back = await browser.send(await browser.go(authorization()), { action: 'deny' })
    assert.equal(back.url.searchParams.get('error'), 'access_denied')
  })

  it('does not write passwords or typed names into the log', async () => {
    const browser = open()
    const page = await browser.go(authorization())
    await browser.send(page, { action: 'sign-in', username: 'typed', password: 'wrong password' })
    await browser.send(page, signInAs('ada'))
    assert.equal(logged.length, 2)
    assert.doesNotMatch(JSON.stringify(logged), /typed|wrong password|correct horse/)
  })

  it('writes who signs in, from where, at which client, and why somebody may not', async () => {
    await replaceAccount(accounts, { ...bob, isDisabled: true })
    const attempt = async (username: string, password: string) => {
      const browser = open()
      const fields = { action: 'sign-in', username, password }
      await browser.send(await browser.go(authorization()), fields)
    }
    await attempt('ADA', 'wrong')
    await attempt('bob', RIGHT)
    await attempt('bob', 'wrong')
    await attempt('a password by mistake', RIGHT)
    await attempt('ada', RIGHT)
    const about = { client: 'notes', address: '127.0.0.1' }
    const [isAda, isBob] = [ada, bob].map(({ id, username }) => ({ account: id, username }))
    assert.deepEqual(
      logged.map(({ details, message }) => [message, details]),
      [
        ['sign-in refused', { ...about, ...isAda, reason: 'wrong-password' }],
        ['sign-in refused', { ...about, ...isBob, reason: 'disabled' }],
        ['sign-in refused', { ...about, ...isBob, reason: 'wrong-password' }],
        ['sign-in refused', { ...about, reason: 'unknown-name' }],
        ['signed in', { ...about, ...isAda }],
      ],
    )
  })

  it('writes who chose a password, and who did not and why', async () => {
    const browser = open()
    const choose = await browser.send(await browser.go(authorization()), signInAs('bob'))
    const fields = (password: string) => ({
      action: 'choose-password',
      password,
      repeated: password,
    })
    const again = await browser.send(choose, fields('short'))
    await browser.send(again, fields(FRESH))
    await browser.send(await browser.go(authorization({ prompt: 'consent' })), { action: 'deny' })
    const about = { client: 'notes', address: '127.0.0.1' }
    const isBob = { account: bob.id, username: 'bob' }
    assert.deepEqual(
      logged.map(({ details, message }) => [message, details]),
      [
        ['signed in with a one-time password', { ...about, ...isBob }],
        ['password not changed', { ...about, ...isBob, reason: 'too-short' }],
        ['password changed', { ...about, ...isBob }],
        ['request denied', { ...about, prompt: 'consent' }],
      ],
    )
  })

  it('asks again, rather than failing, when the account of a session is disabled', async () => {
    const browser = open()
    await allowOnce(browser)
    await replaceAccount(accounts, { ...ada, isDisabled: true })
    const page = await browser.go(authorization())
    assert.equal(titleOf(page), 'Sign in')
    const silent = await browser.go(authorization({ prompt: 'none' }))
    assert.equal(silent.url.searchParams.get('error'), 'login_required')
  })
})

describe('signing in as somebody else', () => {
  it('ends the session of the person before, also without scripts', async () => {
    await replaceAccount(accounts, { ...bob, mustChangePassword: false })
    const browser = open()
    await allowOnce(browser)
    const signIn = await browser.go(authorization({ prompt: 'login' }))
    assert.match(signIn.html, /name="username"[^>]* value="ada"/)
    const submitting = await browser.send(signIn, signInAs('bob'))
    assert.match(submitting.html, /<noscript>/)
    const consent = await browser.send(submitting, {})
    assert.match(consent.html, /<dd>bob<\/dd>/)
    assert(codeOf(await browser.send(consent, { action: 'allow' })))
    assert(await consents.find(bob.id, 'notes'))
  })

  for (const params of [{}, { prompt: 'login' }, { prompt: 'consent' }]) {
    it(`is offered wherever a person is named: ${JSON.stringify(params)}`, async () => {
      await replaceAccount(accounts, { ...bob, mustChangePassword: false })
      const browser = open()
      await allowOnce(browser)
      await consents.change(ada.id, 'notes', () => ({ ...NOTHING, updatedAt: clock.now() }))
      const named = await browser.go(authorization({ scope: 'openid email', ...params }))
      const other = /<a href="([^"]*)">Not you\?<\/a>/.exec(named.html)?.[1] ?? ''
      const signIn = await browser.go(new URL(other.replaceAll('&amp;', '&'), named.url).href)
      assert.equal(titleOf(signIn), 'Sign in')
      assert.match(signIn.html, /name="username"[^>]* value=""/)
      assert.doesNotMatch(signIn.html, /Not you/)
      const wrong = await browser.send(signIn, { ...signInAs('bob'), password: 'wrong' })
      assert.equal(wrong.status, 401)
      const consent = await browser.send(await browser.send(wrong, signInAs('bob')), {})
      assert.match(consent.html, /<dd>bob<\/dd>/)
      assert(codeOf(await browser.send(consent, { action: 'allow' })))
      assert(await consents.find(bob.id, 'notes'))
    })
  }

  it('is not a way to allow something without being asked', async () => {
    const browser = open()
    const consent = await browser.send(await browser.go(authorization()), signInAs('ada'))
    const other = await browser.go(`${consent.url.href}?other=`)
    assert.equal((await browser.send(other, { action: 'allow' })).status, 400)
    assert.equal(await consents.find(ada.id, 'notes'), undefined)
  })
})

describe('one-time password', () => {
  it('must be replaced before anything else, and then signs in', async () => {
    const browser = open()
    const choose = await browser.send(await browser.go(authorization()), signInAs('bob'))
    assert.equal(titleOf(choose), 'Choose a new password')
    const fields = { action: 'choose-password', password: FRESH, repeated: FRESH }
    assert.match(titleOf(await browser.send(choose, fields)) ?? '', /^Allow/)
    const stored = await accounts.findById(bob.id)
    assert.equal(stored?.mustChangePassword, false)
    assert.equal(await passwords.verify(FRESH, stored?.passwordHash ?? ''), true)
  })

  it('stays at that step through a reload, and does not sign in by going on', async () => {
    const browser = open()
    const choose = await browser.send(await browser.go(authorization()), signInAs('bob'))
    assert.equal(titleOf(await browser.go(choose.url.href)), 'Choose a new password')
    const uid = choose.url.pathname.split('/').at(-1)
    assert.equal(titleOf(await browser.go(`/auth/${uid}`)), 'Sign in')
  })

  it('explains what is wrong with a new password', async () => {
    const browser = open()
    let page = await browser.send(await browser.go(authorization()), signInAs('bob'))
    for (const [password, repeated, problem] of [
      [FRESH, `${FRESH}!`, /not the same/],
      ['short', 'short', /at least 15 characters/],
      ['bobobobobobobobobob', 'bobobobobobobobobob', /easy to guess/],
      [RIGHT, RIGHT, /Choose a new one/],
    ] as const) {
      page = await browser.send(page, { action: 'choose-password', password, repeated })
      assert.equal(page.status, 422)
      assert.match(problemOf(page) ?? '', problem)
    }
  })

  it('cannot be replaced by somebody who did not have it', async () => {
    const browser = open()
    const fields = { action: 'choose-password', username: 'bob', password: FRESH, repeated: FRESH }
    const page = await browser.send(await browser.go(authorization()), fields)
    assert.equal(page.status, 409)
    assert.deepEqual(await accounts.findById(bob.id), bob)
  })

  it('loses its force when the account changes in the meantime', async () => {
    const browser = open()
    const choose = await browser.send(await browser.go(authorization()), signInAs('bob'))
    await replaceAccount(accounts, { ...bob, updatedAt: bob.updatedAt + 60 })
    const fields = { action: 'choose-password', password: FRESH, repeated: FRESH }
    assert.equal((await browser.send(choose, fields)).status, 409)
  })
})

describe('consent', () => {
  it('lists in plain words what is asked for, who asks, who allows and what comes next', async () => {
    const browser = open()
    const page = await browser.send(await browser.go(authorization()), signInAs('ada'))
    assert.deepEqual(permissionsOf(page), [
      'recognise you when you come back',
      'see your name and the other details of your profile',
    ])
    assert.match(page.html, /<dd>ada<\/dd>/)
    assert.match(page.html, /<dd>notes\.example\.com<\/dd>/)
    assert.match(page.html, /href="https:\/\/notes\.example\.com\/privacy\?a&amp;b"/)
  })

  it('is not asked for again, neither in the session nor in a new one', async () => {
    const first = open()
    await allowOnce(first)
    assert(codeOf(await first.go(authorization())))
    const second = open()
    assert(codeOf(await second.send(await second.go(authorization()), signInAs('ada'))))
  })

  it('is asked for what is new only, and remembers all of it', async () => {
    const browser = open()
    await allowOnce(browser)
    const more = { scope: 'openid profile email read', resource: API }
    const page = await browser.go(authorization(more))
    assert.deepEqual(permissionsOf(page), ['see your email address', 'read'])
    assert.match(page.html, /<h2>At https:\/\/api\.example\.com\/<\/h2>/)
    assert(codeOf(await browser.send(page, { action: 'allow' })))
    const { updatedAt, ...consent } = (await consents.find(ada.id, 'notes')) ?? {}
    assert.deepEqual(consent, {
      accountId: ada.id,
      clientId: 'notes',
      oidcScopes: ['openid', 'profile', 'email'],
      oidcClaims: [],
      resourceScopes: { [API]: ['read'] },
    })
    assert(updatedAt && Math.abs(updatedAt - clock.now()) < 5)
    const another = open()
    const signedIn = await another.send(await another.go(authorization(more)), signInAs('ada'))
    assert(codeOf(signedIn))
  })

  it('is asked for in the words of the API, where it has some', async () => {
    const browser = open()
    await allowOnce(browser)
    const scope = 'openid profile read write'
    const page = await browser.go(authorization({ scope, resource: DESCRIBED }))
    assert.match(page.html, /<h2>At Notes<\/h2>/)
    assert.match(page.html, /<li>read your &lt;notes&gt;<\/li>\s*<li><code>write<\/code><\/li>/)
    assert(codeOf(await browser.send(page, { action: 'allow' })))
    const { resourceScopes } = (await consents.find(ada.id, 'notes')) ?? {}
    assert.deepEqual(resourceScopes, { [DESCRIBED]: ['read', 'write'] })
  })

  it('is asked for single claims', async () => {
    const browser = open()
    await allowOnce(browser)
    const claims = JSON.stringify({ id_token: { email: null } })
    const page = await browser.go(authorization({ claims }))
    assert.deepEqual(permissionsOf(page), ['see your email address'])
    assert(codeOf(await browser.send(page, { action: 'allow' })))
    assert.deepEqual((await consents.find(ada.id, 'notes'))?.oidcClaims, ['email'])
  })

  it('is asked for again with prompt=consent, and says that nothing is new', async () => {
    const browser = open()
    await allowOnce(browser)
    const page = await browser.go(authorization({ prompt: 'consent' }))
    assert.match(page.html, /asks for nothing new/)
    assert(codeOf(await browser.send(page, { action: 'allow' })))
  })

  it('goes back with access_denied when denied, and remembers nothing', async () => {
    const browser = open()
    const page = await browser.send(await browser.go(authorization()), signInAs('ada'))
    const back = await browser.send(page, { action: 'deny' })
    assert.equal(back.url.searchParams.get('error'), 'access_denied')
    assert.equal(await consents.find(ada.id, 'notes'), undefined)
  })

  it('is neither given nor denied by a form without a button', async () => {
    const browser = open()
    const page = await browser.send(await browser.go(authorization()), signInAs('ada'))
    assert.equal((await browser.send(page, {})).status, 400)
    assert.equal((await browser.send(page, { action: 'sign-in' })).status, 400)
    assert.equal(await consents.find(ada.id, 'notes'), undefined)
  })

  it('is not taken from somebody who was disabled in the meantime', async () => {
    const browser = open()
    const page = await browser.send(await browser.go(authorization()), signInAs('ada'))
    await replaceAccount(accounts, { ...ada, isDisabled: true })
    assert.equal((await browser.send(page, { action: 'allow' })).status, 400)
    assert.equal(await consents.find(ada.id, 'notes'), undefined)
  })
})

describe('forms that are not ours', () => {
  const foreign: readonly [string, Record<string, string>][] = [
    ['another site', { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }],
    ['a sibling site', { origin: '', 'sec-fetch-site': 'same-site' }],
    ['another site, in a browser without Sec-Fetch-Site', { origin: 'https://evil.example' }],
    ['a page without an origin', { origin: 'null', 'sec-fetch-site': 'cross-site' }],
    ['another port of this host', { origin: 'http://127.0.0.1:1', 'sec-fetch-site': 'none' }],
    ['a name pointed at us', { origin: 'http://evil.example', 'sec-fetch-site': 'same-origin' }],
  ]
  for (const [from, headers] of foreign) {
    it(`are refused when they come from ${from}`, async () => {
      const browser = open()
      const page = await browser.go(authorization())
      const refused = await browser.send(page, signInAs('ada'), {
        'sec-fetch-site': 'none',
        ...headers,
      })
      assert.equal(refused.status, 403)
      assert.match(refused.headers.get('content-type') ?? '', /text\/html/)
      const [line] = logged.filter(({ message }) => message === 'a form was refused')
      assert.match(String(line?.details.reason), /^(Origin|Sec-Fetch-Site) is /)
    })
  }

  const untold: readonly Record<string, string>[] = [
    { origin: '', 'sec-fetch-site': '' },
    { origin: 'null', 'sec-fetch-site': '' },
  ]
  for (const headers of untold) {
    it(`are told by their secret where the browser says ${JSON.stringify(headers)}`, async () => {
      const browser = open()
      const page = await browser.go(authorization())
      const guesses = ['', 'guessed', mac('something else')]
      for (const xsrf of guesses) {
        const refused = await browser.send(page, { ...signInAs('ada'), xsrf }, headers)
        assert.equal(refused.status, 403)
      }
      const lines = logged.filter(({ message }) => message === 'a form was refused')
      assert.equal(lines.length, guesses.length)
      assert.match(String(lines[0]?.details.reason), /secret/)
      const consent = await browser.send(page, signInAs('ada'), headers)
      assert.match(titleOf(consent) ?? '', /^Allow /)
    })
  }

  it('are ours where the browser says so, although a proxy hides their origin', async () => {
    const hidden = { origin: 'null', 'sec-fetch-site': 'same-origin' }
    const browser = open()
    const page = await browser.go(authorization())
    const consent = await browser.send(page, { ...signInAs('ada'), xsrf: '' }, hidden)
    const back = await browser.send(consent, { action: 'allow', xsrf: '' }, hidden)
    assert.ok(codeOf(back))
  })

  it('are refused in another browser, which lacks the cookie', async () => {
    const page = await open().go(authorization())
    const stranger = await open().send(page, signInAs('ada'))
    assert.equal(stranger.status, 400)
    assert.match(titleOf(stranger) ?? '', /has expired/)
  })

  it('are refused for another interaction than the one of the cookie', async () => {
    const browser = open()
    const page = await browser.go(authorization())
    const cookie = await fetch(new URL(authorization(), issuer), { redirect: 'manual' })
    const other = cookie.headers.getSetCookie().map((line) => line.split(';')[0])
    const headers = { cookie: other.join('; ') }
    assert.equal((await browser.go(page.url.href, { headers })).status, 400)
  })
})

describe('forms that are broken', () => {
  const post = async (
    body: string | Uint8Array<ArrayBuffer>,
    headers: Record<string, string> = {},
  ) => {
    const browser = open()
    const { url } = await browser.go(authorization())
    const type = { 'content-type': 'application/x-www-form-urlencoded' }
    return browser.go(url.href, { method: 'POST', body, headers: { ...type, ...headers } })
  }

  it('are too large above 16 KiB', async () => {
    const page = await post(`action=sign-in&username=${'a'.repeat(17 * 1024)}`)
    assert.equal(page.status, 413)
    assert.equal(titleOf(page), 'That is too much')
  })

  it('are too large however small they were pressed', async () => {
    const body = gzipSync(`action=sign-in&username=${'a'.repeat(1024 * 1024)}`)
    assert.equal((await post(body, { 'content-encoding': 'gzip' })).status, 413)
  })

  it('are no forms in any other format', async () => {
    assert.equal((await post('{}', { 'content-type': 'application/json' })).status, 415)
    assert.equal((await post('x', { 'content-type': 'multipart/form-data' })).status, 415)
    assert.equal((await post('x', { 'content-encoding': 'zstd' })).status, 415)
  })

  it('never cause a server error', async () => {
    for (const [body, headers] of [
      ['', {}],
      ['%', {}],
      ['action=%E0%A4%A&username=%', {}],
      ['action[]=sign-in&username[a][b]=c&password=x&password=y', {}],
      ['__proto__[action]=deny&constructor=1', {}],
      ['action=sign-in&username=%00&password=%ED%A0%80', {}],
      ['not compressed', { 'content-encoding': 'gzip' }],
    ] as const) {
      const page = await post(body, headers)
      assert(page.status >= 400 && page.status < 500, `${body}: ${page.status}`)
      assert.match(page.headers.get('content-type') ?? '', /text\/html/)
    }
    assert.deepEqual(
      logged.filter(({ level }) => level === 'error'),
      [],
    )
  })
})

describe('addresses', () => {
  it('lead back to the client where it is known, and only to what it registered', async () => {
    const waysOf = ({ html }: Page) =>
      [
        ...(/<p class="ways">([\s\S]*?)<\/p>/.exec(html)?.[1]?.matchAll(/href="([^"]*)"/g) ?? []),
      ].map(([, href]) => href)
    const home = 'https://pocket.example/'
    const expired = await open().go('/interaction/unknown?client_id=pocket')
    assert.deepEqual(waysOf(expired), [home])
    const elsewhere = { client_id: 'pocket', redirect_uri: 'https://evil.example/' }
    assert.deepEqual(waysOf(await open().go(authorization(elsewhere))), [home])
    for (const unknown of [
      '',
      '?client_id=nobody',
      '?client_id=notes',
      '?client_id=a&client_id=b',
    ]) {
      const page = await open().go(`/interaction/unknown${unknown}`)
      assert.equal(page.status, 400)
      assert.deepEqual(waysOf(page), [], unknown)
    }
  })

  it('explain a sign-in that is unknown or has ended', async () => {
    const browser = open()
    const { url } = await browser.go(authorization())
    await browser.send(await browser.go(url.href), { action: 'deny' })
    for (const address of [url.href, '/interaction/unknown', '/interaction/%00']) {
      const page = await browser.go(address)
      assert.equal(page.status, 400)
      assert.match(page.html, /Go back to the application/)
    }
  })

  it('answer 405 to other methods and 404 where there is nothing', async () => {
    const browser = open()
    assert.equal((await browser.go('/interaction/x', { method: 'PUT' })).status, 405)
    const nothing = await browser.go('/nothing')
    assert.equal(nothing.status, 404)
    assert.equal(titleOf(nothing), 'Page not found')
  })

  it('answer programs that ask for JSON in JSON', async () => {
    const page = await open().go('/interaction/x', {
      method: 'PUT',
      headers: { accept: 'application/json' },
    })
    assert.deepEqual(JSON.parse(page.html), {
      error: 'invalid_request',
      error_description:
        'the address does not take this method; the Allow header field lists those that it takes',
    })
  })

  it('serve the style, for ever under the name of its content and briefly otherwise', async () => {
    const { html } = await open().go(authorization())
    const [, href = ''] = /href="(\/static\/keyturn\.css\?v=[0-9a-f]+)"/.exec(html) ?? []
    const style = await open().go(href)
    assert.equal(style.status, 200)
    assert.match(style.headers.get('content-type') ?? '', /text\/css/)
    assert.match(style.headers.get('cache-control') ?? '', /immutable/)
    const other = await open().go('/static/keyturn.css?v=other')
    assert.equal(other.headers.get('cache-control'), 'public, max-age=60')
    for (const outside of ['/static/../layout.eta', '/static/%2e%2e/layout.eta', '/static/'])
      assert.notEqual((await open().go(outside)).status, 200)
  })
})

describe('errors', () => {
  it('show the public description and an identifier that the log has as well', async () => {
    const page = await open().go(authorization({ redirect_uri: 'https://evil.example/' }))
    assert.equal(page.status, 400)
    assert.match(page.html, /invalid_redirect_uri/)
    const [, errorId] = /<code>([0-9a-f]{12})<\/code>/.exec(page.html) ?? []
    assert.equal(logged.at(-1)?.details.errorId, errorId)
  })

  it('show nothing of what went wrong inside, neither ours nor of the provider', async () => {
    const find = accounts.findById
    const browser = open()
    const consent = await browser.send(await browser.go(authorization()), signInAs('ada'))
    accounts.findById = () => Promise.reject(new Error('connection to 10.0.0.5 refused'))
    const ours = await browser.go(consent.url.href)
    const theirs = await browser.go(authorization())
    accounts.findById = find
    for (const page of [ours, theirs]) {
      assert.equal(page.status, 500)
      assert.doesNotMatch(page.html, /10\.0\.0\.5|Error|at /)
      assert.match(page.html, /<code>[0-9a-f]{12}<\/code>/)
    }
    const errors = logged.filter(({ level }) => level === 'error')
    assert.equal(errors.length, 2)
    for (const { details } of errors) assert.match(String(details.err), /10\.0\.0\.5/)
  })
})

describe('signing out', () => {
  it('asks, ends the session and goes where the application wants', async () => {
    const browser = open()
    await allowOnce(browser)
    const bye = 'https://notes.example.com/bye'
    const params = new URLSearchParams({ client_id: 'notes', post_logout_redirect_uri: bye })
    const page = await browser.go(`/session/end?${params}`)
    assert.equal(titleOf(page), 'Sign out?')
    assert.doesNotMatch(page.headers.get('content-security-policy') ?? '', /form-action/)
    const back = await browser.send(page, { logout: 'yes' })
    assert.equal(back.url.href, bye)
    assert.equal(titleOf(await browser.go(authorization())), 'Sign in')
  })

  it('stays with us where the application names no place', async () => {
    const browser = open()
    await allowOnce(browser)
    const done = await browser.send(await browser.go('/session/end'), { logout: 'yes' })
    assert.equal(titleOf(done), 'You are signed out')
  })

  it('says that a person who stays is signed in, and that is so', async () => {
    const browser = open()
    await allowOnce(browser)
    const stayed = await browser.send(await browser.go('/session/end'), {})
    assert.equal(titleOf(stayed), 'You are still signed in')
    assert.ok(codeOf(await browser.go(authorization())), 'the session lives')
    assert.equal(titleOf(await browser.go('/session/end/success')), 'You are still signed in')
    const claimed = await browser.go('/session/end/success?client_id=notes')
    assert.equal(titleOf(claimed), 'You are still signed in', 'whatever an address says')
    const nobody = await open().go('/session/end/success?client_id=notes')
    assert.equal(titleOf(nobody), 'You are signed out')
  })

  it('can leave one application only', async () => {
    const browser = open()
    await allowOnce(browser)
    const page = await browser.go('/session/end?client_id=notes')
    assert.match(page.html, /Only leave Notes &amp; &lt;Friends&gt;/)
    assert.match(titleOf(await browser.send(page, {})) ?? '', /^You left Notes/)
    assert(codeOf(await browser.go(authorization())))
  })
})

describe('connecting a device', () => {
  const begin = async () => {
    const response = await fetch(`${issuer}/device/auth`, {
      method: 'POST',
      body: new URLSearchParams({ client_id: 'notes', client_secret: 'secret', scope: 'openid' }),
    })
    const { user_code } = (await response.json()) as { user_code: string }
    return user_code
  }

  it('takes the code, shows it again, signs in, asks and is done', async () => {
    const browser = open()
    const userCode = await begin()
    const confirm = await browser.send(await browser.go('/device'), {
      user_code: userCode.toLowerCase(),
    })
    assert.match(confirm.html, new RegExp(`<p class="code">${userCode}</p>`))
    const signIn = await browser.send(confirm, { confirm: 'yes' })
    const consent = await browser.send(signIn, signInAs('ada'))
    assert.match(consent.html, /<dd>your device<\/dd>/)
    const done = await browser.send(consent, { action: 'allow' })
    assert.equal(titleOf(done), 'Your device is connected')
  })

  it('says what is wrong with a code', async () => {
    const browser = open()
    const page = await browser.go('/device')
    const unknown = await browser.send(page, { user_code: '<ABCD>' })
    assert.match(problemOf(unknown) ?? '', /not known/)
    assert.match(unknown.html, /value="&lt;ABCD&gt;"/)
    assert.match(problemOf(await browser.send(unknown, { user_code: '' })) ?? '', /Enter the code/)
  })

  it('can be refused', async () => {
    const browser = open()
    const confirm = await browser.send(await browser.go('/device'), { user_code: await begin() })
    const done = await browser.send(confirm, { abort: 'yes' })
    assert.equal(titleOf(done), 'The device was not connected')
    assert.match(done.html, /class="emblem stopped"/)
  })
})

describe('every page', () => {
  const visit = async (): Promise<readonly Page[]> => {
    const browser = open()
    const signIn = await browser.go(authorization())
    const wrong = await browser.send(signIn, { action: 'sign-in', username: 'ada', password: 'x' })
    const consent = await browser.send(signIn, signInAs('ada'))
    await browser.send(consent, { action: 'allow' })
    const signOut = await browser.go('/session/end?client_id=notes')
    const signedOut = await browser.send(signOut, { logout: 'yes' })
    const choose = await browser.send(await browser.go(authorization()), signInAs('bob'))
    const device = await browser.go('/device')
    const response = await fetch(`${issuer}/device/auth`, {
      method: 'POST',
      body: new URLSearchParams({ client_id: 'notes', client_secret: 'secret', scope: 'openid' }),
    })
    const { user_code } = (await response.json()) as { user_code: string }
    const confirm = await browser.send(device, { user_code })
    const error = await browser.go(authorization({ redirect_uri: 'https://evil.example' }))
    const expired = await browser.go('/interaction/x')
    const nothing = await browser.go('/nothing')
    const pages = [signIn, wrong, consent, signOut, signedOut, choose, device, confirm]
    return [...pages, error, expired, nothing]
  }

  it('comes with strict headers', async () => {
    for (const { headers, html } of await visit()) {
      const csp = headers.get('content-security-policy') ?? ''
      for (const directive of [
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self' data:",
        "frame-ancestors 'none'",
        "base-uri 'none'",
      ])
        assert(csp.split('; ').includes(directive), `${directive} in ${csp} of ${html}`)
      const scripts = /script-src ([^;]*)/.exec(csp)?.[1]
      assert.equal(scripts, html.includes('type="password"') ? "'self'" : undefined)
      assert.doesNotMatch(csp, /unsafe/)
      assert.equal(headers.get('x-content-type-options'), 'nosniff')
      assert.equal(headers.get('referrer-policy'), 'same-origin')
      assert.equal(headers.get('cache-control'), 'no-store')
      assert.equal(headers.get('x-frame-options'), 'DENY')
    }
  })

  it('has no script, or one file that shows passwords, no inline style and nothing from elsewhere', async () => {
    const script = /<script src="\/static\/show-password\.js\?v=[\da-f]+" defer><\/script>/
    for (const { html: page } of await visit()) {
      assert.equal(script.test(page), page.includes('type="password"'))
      const html = page.replace(script, '')
      assert.doesNotMatch(html, /<script|javascript:|\son[a-z]+=|<style|\sstyle=/i)
      for (const [, target = ''] of html.matchAll(/<(?!a )[^>]*(?:href|src|action)="([^"]*)"/g))
        assert.equal(new URL(target, issuer).origin, issuer)
    }
  })

  it('can be read by a screen reader: language, title, one heading, labels, descriptions', async () => {
    for (const { html } of await visit()) {
      assert.match(html, /^<!DOCTYPE html>\n<html lang="en">/)
      assert.match(html, /<title>[^<]+ - Keyturn<\/title>/)
      assert.equal(html.match(/<h1>/g)?.length, 1)
      assert.equal(html.match(/<main/g)?.length, 1)
      const ids = [...html.matchAll(/\sid="([^"]+)"/g)].map(([, id]) => id)
      assert.equal(new Set(ids).size, ids.length)
      for (const [input] of html.matchAll(/<input[^>]*>/g)) {
        if (/type="hidden"|\shidden/.test(input)) continue
        const id = / id="([^"]+)"/.exec(input)?.[1]
        assert(html.includes(`<label for="${id}">`), input)
        assert.match(input, / autocomplete="/)
      }
      for (const [, references = ''] of html.matchAll(/aria-describedby="([^"]+)"/g))
        for (const id of references.split(' ')) assert(ids.includes(id), id)
    }
  })

  it('lets forms lead on from an application to anywhere, and to us where none is behind them', async () => {
    const formAction = ({ headers }: Page) =>
      /form-action ([^;]*)/.exec(headers.get('content-security-policy') ?? '')?.[1]
    const browser = open()
    const signIn = await browser.go(authorization())
    assert.equal(formAction(signIn), undefined)
    assert.equal(formAction(await browser.send(signIn, signInAs('ada'))), undefined)
    assert.equal(formAction(await browser.go('/session/end')), "'self'")
    assert.equal(formAction(await open().go('/device')), "'self'")
  })

  it('of the provider itself may run its own script and no other', async () => {
    const browser = open()
    await allowOnce(browser)
    const page = await browser.go(authorization({ response_mode: 'form_post' }))
    assert.match(page.html, /<script>/)
    const csp = page.headers.get('content-security-policy') ?? ''
    assert.match(csp, /^default-src 'none';script-src 'sha256-[^']+';base-uri 'none'$/)
  })
})
