import { createHmac, generateKeyPairSync } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, beforeEach, mock } from 'node:test'
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
import { createAccount, createMemoryAccounts } from '../support/memory-accounts.ts'

/** The pages that people see in front of a provider in memory, and browsers that go through them. */

/** Password of everybody, and another one that is as good. */
export const RIGHT = 'correct horse battery staple'
export const FRESH = 'purple monkey dishwasher'
export const CALLBACK = 'https://notes.example.com/callback'
/** An API without words of its own for its scopes, and one with some. */
export const API = 'https://api.example.com/'
export const DESCRIBED = 'https://notes.example.com/api'
export const passwords = createPasswords({ memoryKiB: 64, passes: 1, parallelism: 1 })
export const clock = { now: () => Math.floor(Date.now() / 1000) }

/** A browser with cookies, without scripts, that stops at the door of other sites. */
export interface Browser {
  go(path: string, options?: RequestInit): Promise<Page>
  /** Sends the form on the page with the named button. */
  send(page: Page, fields: Record<string, string>, headers?: Record<string, string>): Promise<Page>
}

export interface Page {
  readonly url: URL
  readonly status: number
  readonly headers: Headers
  readonly html: string
}

/** Issuer of the server that all tests of a file share. */
export let issuer: string

/** What each test has anew: its people, what they allowed, the log, and browsers without cookies. */
export let accounts: AccountStore
export let consents: ConsentStore
export let ada: Account
export let bob: Account
export let logged: { level: string; details: Record<string, unknown>; message: string }[]
export let open: () => Browser

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })

let handle: ReturnType<Koa['callback']>

/** Serves the pages to the tests of the file that calls this. */
export function serveInteractions(): void {
  let server: Server
  before(async () => {
    // oidc-provider warns of its in-memory adapter, once per provider.
    mock.method(console, 'warn', () => {})
    server = createServer((req, res) => handle(req, res)).listen(0, '127.0.0.1')
    await new Promise((listening) => server.once('listening', listening))
    issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  after(() => new Promise((closed) => server.close(closed).closeAllConnections()))

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
}

export const mac = (data: string) =>
  createHmac('sha256', 'of this test').update(data).digest('base64url')

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
  app.use(providerHeaders(createAudience(issuer)))
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

export function authorization(params: Record<string, string> = {}): string {
  return `/auth?${new URLSearchParams({
    client_id: 'notes',
    response_type: 'code',
    scope: 'openid profile',
    redirect_uri: CALLBACK,
    ...params,
  })}`
}

export const NOTHING = { oidcScopes: [], oidcClaims: [], resourceScopes: {} }
export const signInAs = (username: string) => ({ action: 'sign-in', username, password: RIGHT })
export const titleOf = ({ html }: Page) => /<h1>([^<]*)<\/h1>/.exec(html)?.[1]
export const problemOf = ({ html }: Page) => /role="alert"[^>]*>([^<]*)</.exec(html)?.[1]
export const permissionsOf = ({ html }: Page) =>
  [...html.matchAll(/<li>(?:<code>)?([^<]*)/g)].map(([, text]) => text)
export const codeOf = ({ url }: Page) => url.searchParams.get('code')

/** As the client got it at an earlier sign-in. */
export const idTokenOf = ({ id }: Account) =>
  new SignJWT()
    .setProtectedHeader({ alg: 'RS256' })
    .setIssuer(issuer)
    .setAudience('notes')
    .setSubject(id)
    .setIssuedAt()
    .setExpirationTime('1h')
    .sign(privateKey)

export async function allowOnce(browser: Browser, params = {}): Promise<Page> {
  const consent = await browser.send(await browser.go(authorization(params)), signInAs('ada'))
  return browser.send(consent, { action: 'allow' })
}
