import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { after, before, describe, it } from 'node:test'
import type { Page } from 'playwright-core'
import { freePort } from '../../lab/free-port.ts'
import { CLIENTS, PERSON, startTestServer, type TestServer } from '../../lab/server.ts'
import { launchBrowser, missingBrowser, openTab } from '../support/browser.ts'
import { skipNginx, startNginx } from '../support/nginx.ts'

/** Long requests through the proxy that is shipped (`deploy/nginx.conf`), with a real browser. */

const skip = missingBrowser() || skipNginx

describe('behind deploy/nginx.conf', { skip, timeout: 120_000 }, () => {
  let chromium: Awaited<ReturnType<typeof launchBrowser>>
  let keyturn: TestServer
  let nginx: AsyncDisposable
  let application: Server
  let callback: string
  before(async () => {
    const [front, back, port] = [await freePort(), await freePort(), await freePort()]
    callback = `http://localhost:${port}/callback`
    // What is long is its address.
    application = createServer({ maxHeaderSize: 65_536 }, (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>The application</h1>')
    }).listen(port, 'localhost')
    await once(application, 'listening')
    const [web] = CLIENTS
    const client = {
      ...web,
      redirect_uris: [callback],
      post_logout_redirect_uris: [callback],
    }
    keyturn = await startTestServer({
      settings: {
        issuer: `http://localhost:${front}`,
        http: { host: 'localhost', port: back, trustedProxies: 1 },
        clients: [client],
      },
    })
    nginx = await startNginx({ front, back })
    chromium = await launchBrowser()
  })
  after(async () => {
    await chromium?.[Symbol.asyncDispose]()
    await nginx?.[Symbol.asyncDispose]()
    await keyturn?.[Symbol.asyncDispose]()
    application?.closeAllConnections()
    application?.close()
  })

  const STATES = {
    'the 3,005 characters of OpenIddict': 'eyJhbGciOiJBMjU2S1ci'.repeat(151).slice(0, 3005),
    'the most that a parameter may have': 'x'.repeat(4096),
    'as many beyond ASCII, which are six times as long': 'ä'.repeat(4096),
  }
  for (const [kind, state] of Object.entries(STATES)) {
    it(`a state of ${kind} comes back after sign-in, consent and sign-out`, async () => {
      await using tab = await openTab(chromium.browser)
      const { page } = tab
      const query = authorization({ redirect_uri: callback, prompt: 'login consent', state })
      const answer = await page.goto(`${keyturn.issuer}/auth?${query}`)
      assert.equal(answer?.status(), 200)
      await signIn(page)
      await page.waitForURL(`${callback}*`)
      assert.equal(new URL(page.url()).searchParams.get('state'), state)

      const bye = { client_id: 'web', post_logout_redirect_uri: callback, state }
      await page.goto(`${keyturn.issuer}/session/end?${new URLSearchParams(bye)}`)
      await page.getByRole('button', { name: 'Sign out', exact: true }).click()
      await page.waitForURL(`${callback}*`)
      assert.equal(new URL(page.url()).searchParams.get('state'), state)
    })

    it(`a form with such a state becomes a query`, async () => {
      await using tab = await openTab(chromium.browser)
      const { page } = tab
      const inputs = [...authorization({ redirect_uri: callback, state })].map(
        ([name, value]) => `<input type="hidden" name="${name}" value="${value}">`,
      )
      const action = `${keyturn.issuer}/auth`
      await page.route('http://other.example/', (route) =>
        route.fulfill({
          contentType: 'text/html; charset=utf-8',
          body: `<form method="post" action="${action}">${inputs.join('')}<button>Go</button></form>`,
        }),
      )
      await page.goto('http://other.example/')
      await page.getByRole('button', { name: 'Go' }).click()
      await signIn(page)
      await page.waitForURL(`${callback}*`)
      assert.equal(new URL(page.url()).searchParams.get('state'), state)
    })
  }
})

function authorization(parameters: Readonly<Record<string, string>>): URLSearchParams {
  return new URLSearchParams({
    client_id: 'web',
    response_type: 'code',
    scope: 'openid profile',
    code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
    code_challenge_method: 'S256',
    ...parameters,
  })
}

/** Where consent was given before, the password is all that is asked for. */
async function signIn(page: Page): Promise<void> {
  await page.getByLabel('User name').fill(PERSON.username)
  await page.getByLabel('Password').fill(PERSON.password)
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
  const allow = page.getByRole('button', { name: 'Allow', exact: true })
  const application = page.getByRole('heading', { name: 'The application' })
  await allow.or(application).waitFor()
  if (await allow.isVisible()) await allow.click()
}
