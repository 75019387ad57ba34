import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { after, before, test } from 'node:test'
import type { Locator, Page } from 'playwright-core'
import { freePort } from '../../lab/free-port.ts'
import { CLIENTS, PERSON, startTestServer } from '../../lab/server.ts'
import { launchBrowser, missingBrowser, openTab } from '../support/browser.ts'
import { type Certificates, makeCertificates, skipCertificates } from '../support/certificates.ts'
import { startReverseProxy } from '../support/reverse-proxy.ts'

/** Where people come out of Keyturn's pages in a real browser, whatever stands around them. */

const options = { skip: missingBrowser() || skipCertificates, timeout: 60_000 }

let chromium: Awaited<ReturnType<typeof launchBrowser>> | undefined
let certificates: Certificates | undefined
before(async () => {
  if (options.skip) return
  chromium = await launchBrowser()
  certificates = await makeCertificates('DNS:localhost')
})
after(async () => {
  await chromium?.[Symbol.asyncDispose]()
  await certificates?.[Symbol.asyncDispose]()
})

/** The application at the end of every chain: says where it was reached. */
const END = 'The application'

/** Signs in and allows the client, to the end of its chain. */
async function signInThrough(chain: Chain, page: Page, issuer: string): Promise<void> {
  await page.goto(authorization(issuer, { redirect_uri: chain.callback }))
  await enterPassword(page)
  await button(page, 'Allow').click()
  await page.waitForURL(`${chain.end}*`)
}

test('a callback over https may send people on to http://localhost', options, async () => {
  await using chain = await startChain()
  await using keyturn = await startTestServer({ settings: { clients: [chain.client] } })
  await using tab = await newTab()
  const { page } = tab

  await signInThrough(chain, page, keyturn.issuer)
  assert.match(new URL(page.url()).search, /[?&]code=/)

  // With the consent remembered, the form with the password is what the chain begins with.
  await page.context().clearCookies()
  await page.goto(authorization(keyturn.issuer, { redirect_uri: chain.callback }))
  await enterPassword(page)
  await page.waitForURL(`${chain.end}*`)
  assert.deepEqual(tab.problems, [])
})

test('so may one that people are sent to because they said no', options, async () => {
  await using chain = await startChain()
  await using keyturn = await startTestServer({ settings: { clients: [chain.client] } })
  await using tab = await newTab()
  const { page } = tab

  await page.goto(authorization(keyturn.issuer, { redirect_uri: chain.callback }))
  await button(page, 'Cancel').click()
  await page.waitForURL(`${chain.end}*`)
  assert.match(new URL(page.url()).search, /[?&]error=access_denied/)
  assert.deepEqual(tab.problems, [])
})

test('so may one that is reached by response_mode=form_post', options, async () => {
  await using chain = await startChain()
  await using keyturn = await startTestServer({ settings: { clients: [chain.client] } })
  await using tab = await newTab()
  const { page } = tab

  const mode = { redirect_uri: chain.callback, response_mode: 'form_post' }
  await page.goto(authorization(keyturn.issuer, mode))
  await enterPassword(page)
  await button(page, 'Allow').click()
  await page.waitForURL(`${chain.end}*`)
  assert.match(new URL(page.url()).search, /[?&]code=/)
  assert.deepEqual(tab.problems, [])
})

test('so may the place that a sign-out leads to', options, async () => {
  await using chain = await startChain()
  await using keyturn = await startTestServer({ settings: { clients: [chain.client] } })
  await using tab = await newTab()
  const { page } = tab

  for (const choice of ['Only leave The chain', 'Sign out']) {
    await page.goto(authorization(keyturn.issuer, { redirect_uri: chain.callback }))
    if (choice !== 'Sign out') {
      await enterPassword(page)
      await button(page, 'Allow').click()
    }
    await page.waitForURL(`${chain.end}*`)
    const query = new URLSearchParams({
      client_id: 'chain',
      post_logout_redirect_uri: chain.callback,
      state: 'bye',
    })
    await page.goto(`${keyturn.issuer}/session/end?${query}`)
    await button(page, choice).click()
    await page.waitForURL(`${chain.end}*`)
    assert.match(new URL(page.url()).search, /[?&]state=bye/)
  }
  assert.deepEqual(tab.problems, [])
})

test(
  'people sign in and out behind a proxy that adds Referrer-Policy: no-referrer',
  options,
  async () => {
    await using chain = await startChain()
    const [front, back] = [await freePort(), await freePort()]
    await using keyturn = await startTestServer({
      settings: {
        issuer: `http://localhost:${front}`,
        http: { host: 'localhost', port: back },
        clients: [chain.client],
      },
    })
    await using _proxy = await startReverseProxy({
      port: front,
      routes: [['/', back]],
      headers: { 'referrer-policy': 'no-referrer' },
    })
    await using tab = await newTab()
    const { page } = tab
    const origins = new Set<string | undefined>()
    page.on('request', (request) => {
      const isOurs = request.url().startsWith(keyturn.issuer)
      if (request.method() === 'POST' && isOurs) origins.add(request.headers().origin)
    })

    await signInThrough(chain, page, keyturn.issuer)
    assert.deepEqual([...origins], ['null'], 'the proxy hides where forms come from')
    await page.goto(`${keyturn.issuer}/session/end`)
    await button(page, 'Sign out').click()
    await page.getByRole('heading', { name: 'You are signed out' }).waitFor()
    assert.deepEqual(tab.problems, [])
  },
)

test('who chooses to stay signed in is told so, and is', options, async () => {
  await using chain = await startChain()
  await using keyturn = await startTestServer({ settings: { clients: [chain.client] } })
  await using tab = await newTab()
  const { page } = tab

  await signInThrough(chain, page, keyturn.issuer)
  await page.goto(`${keyturn.issuer}/session/end`)
  await button(page, 'Stay signed in').click()
  await page.getByRole('heading', { name: 'You are still signed in' }).waitFor()
  assert.ok(await isSignedIn(page, keyturn.issuer, chain))
})

test('issuers on two ports of a host do not sign each other out', options, async () => {
  await using chain = await startChain()
  const settings = { clients: [chain.client] }
  await using one = await startTestServer({ settings })
  await using other = await startTestServer({ settings })
  await signInToBoth([one.issuer, other.issuer], chain)
})

test('nor do issuers at two paths of a host, behind TLS', options, async () => {
  await using chain = await startChain()
  const front = await freePort()
  const settingsAt = (path: string, port: number) => ({
    issuer: `https://localhost:${front}${path}`,
    http: { host: 'localhost', port },
    clients: [chain.client],
  })
  const [first, second] = [await freePort(), await freePort()]
  await using one = await startTestServer({ settings: settingsAt('/one', first) })
  await using other = await startTestServer({ settings: settingsAt('/other', second) })
  await using _proxy = await startReverseProxy({
    port: front,
    routes: [
      ['/one/', first],
      ['/other/', second],
    ],
    tls: await tlsOptions(),
  })
  await signInToBoth([one.issuer, other.issuer], chain)
})

test(
  'a page of another site may send people with a form, and with prompt=none',
  options,
  async () => {
    await using chain = await startChain()
    await using keyturn = await startTestServer({ settings: { clients: [chain.client] } })
    await using tab = await newTab()
    const { page } = tab
    const query = (parameters: Readonly<Record<string, string>>) =>
      new URL(authorization(keyturn.issuer, { redirect_uri: chain.callback, ...parameters }))
        .searchParams

    await sendForm(page, `${keyturn.issuer}/auth`, query({}))
    await enterPassword(page)
    await button(page, 'Allow').click()
    await page.waitForURL(`${chain.end}*`)

    await sendForm(page, `${keyturn.issuer}/auth`, query({ prompt: 'none', state: 'silent' }))
    await page.waitForURL(`${chain.end}*`)
    assert.match(new URL(page.url()).search, /[?&]code=.*state=silent/, 'the session was found')

    const bye = { client_id: 'chain', post_logout_redirect_uri: chain.callback, state: 'bye' }
    await sendForm(page, `${keyturn.issuer}/session/end`, new URLSearchParams(bye))
    await button(page, 'Sign out').click()
    await page.waitForURL(`${chain.end}*`)
    assert.match(new URL(page.url()).search, /[?&]state=bye/)
    assert.equal(await isSignedIn(page, keyturn.issuer, chain), false)
    assert.deepEqual(tab.problems, [])
  },
)

/** From a page of another site than localhost. */
async function sendForm(page: Page, action: string, fields: URLSearchParams): Promise<void> {
  const inputs = [...fields].map(([name, value]) => {
    const attributes = `name="${name}" value="${value.replaceAll('&', '&amp;')}"`
    return `<input type="hidden" ${attributes}>`
  })
  const body = `<form method="post" action="${action}">${inputs.join('')}<button>Go</button></form>`
  await page.route('http://other.example/', (route) =>
    route.fulfill({ contentType: 'text/html', body }),
  )
  await page.goto('http://other.example/')
  await button(page, 'Go').click()
}

/** Signs in to one, begins at the other before the first is done, and asks both in the end. */
async function signInToBoth(issuers: readonly [string, string], chain: Chain): Promise<void> {
  await using tab = await newTab()
  const { page } = tab
  const second = await page.context().newPage()
  for (const [at, issuer] of [
    [page, issuers[0]],
    [second, issuers[1]],
  ] as const) {
    await at.goto(authorization(issuer, { redirect_uri: chain.callback }))
  }
  for (const at of [page, second]) await enterPassword(at)
  for (const at of [page, second]) {
    await button(at, 'Allow').click()
    await at.waitForURL(`${chain.end}*`)
  }
  for (const issuer of issuers) assert.ok(await isSignedIn(page, issuer, chain), issuer)
  await page.goto(`${issuers[0]}/session/end`)
  await button(page, 'Sign out').click()
  await page.getByRole('heading', { name: 'You are signed out' }).waitFor()
  assert.equal(await isSignedIn(page, issuers[0], chain), false)
  assert.ok(await isSignedIn(page, issuers[1], chain), 'the other session lives')
}

/** What an application learns that asks without showing anything. */
async function isSignedIn(page: Page, issuer: string, chain: Chain): Promise<boolean> {
  await page.goto(authorization(issuer, { redirect_uri: chain.callback, prompt: 'none' }))
  await page.waitForURL(`${chain.end}*`)
  const { searchParams } = new URL(page.url())
  if (!searchParams.has('code')) assert.equal(searchParams.get('error'), 'login_required')
  return searchParams.has('code')
}

interface Chain extends AsyncDisposable {
  /** An https address that answers 302 to `end`, with what it got. */
  readonly callback: string
  readonly end: string
  readonly client: object
}

/** A broker at https, and the application behind it on http://localhost. */
async function startChain(): Promise<Chain> {
  const end = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end(`<h1>${END}</h1>`)
  }).listen(0, 'localhost')
  await once(end, 'listening')
  const endUrl = `http://localhost:${portOf(end)}/`

  const sendOn = async (request: IncomingMessage, response: ServerResponse) => {
    let form = ''
    for await (const chunk of request) form += chunk
    const query = form === '' ? new URL(request.url ?? '', endUrl).search : `?${form}`
    response.writeHead(302, { location: `${endUrl}${query}` }).end()
  }
  const broker = createTlsServer(await tlsOptions(), sendOn).listen(0, 'localhost')
  await once(broker, 'listening')
  const callback = `https://localhost:${portOf(broker)}/callback`
  const [web] = CLIENTS
  return {
    callback,
    end: endUrl,
    client: {
      ...web,
      client_id: 'chain',
      client_name: 'The chain',
      redirect_uris: [callback],
      post_logout_redirect_uris: [callback],
    },
    [Symbol.asyncDispose]: async () => {
      for (const server of [broker, end]) {
        server.closeAllConnections()
        server.close()
        await once(server, 'close')
      }
    },
  }
}

async function tlsOptions() {
  if (!certificates) throw new TypeError('there are no certificates')
  const { key, certificate } = certificates
  return { key: await readFile(key), cert: await readFile(certificate) }
}

function portOf(server: { address(): unknown }): number {
  const address = server.address()
  // A server that listens on TCP has an AddressInfo.
  return (address as { port: number }).port
}

function authorization(issuer: string, parameters: Readonly<Record<string, string>>): string {
  return `${issuer}/auth?${new URLSearchParams({
    client_id: 'chain',
    response_type: 'code',
    scope: 'openid profile',
    code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
    code_challenge_method: 'S256',
    ...parameters,
  })}`
}

function newTab() {
  if (!chromium) throw new TypeError('there is no browser')
  return openTab(chromium.browser, { ignoreHTTPSErrors: true })
}

async function enterPassword(page: Page): Promise<void> {
  await page.getByLabel('User name').fill(PERSON.username)
  await page.getByLabel('Password').fill(PERSON.password)
  await button(page, 'Sign in').click()
}

function button(page: Page, name: string): Locator {
  return page.getByRole('button', { name, exact: true })
}
