import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { Page } from 'playwright-core'
import { freePort } from '../../lab/free-port.ts'
import type { OneIssuerConfig } from '../../lab/one-issuer.ts'
import {
  API,
  PERSON,
  RESOURCES,
  SECRET,
  startTestServer,
  type TestServer,
} from '../../lab/server.ts'
import { newAccount } from '../../src/accounts/new-account.ts'
import { createPasswords } from '../../src/accounts/password.ts'
import { systemClock } from '../../src/clock.ts'
import { openStores } from '../../src/server/stores.ts'
import { launchBrowser, missingBrowser, openTab } from '../support/browser.ts'
import { examine, NARROW } from '../support/examine.ts'

/**
 * Every page, in both colour schemes, at the width of a small phone: nothing that axe objects to, nothing
 * cut off, nothing that the content security policy stops. With KEYTURN_TEST_SCREENSHOTS=FOLDER they can
 * be looked at.
 */

const FRESH = { username: 'bob', password: 'good for one time only' }

const LOGO_FILE = join(import.meta.dirname, '../support/logo.svg')

/** Keyturn's own look, and colours that are hard to read on white and on black. */
const LOOKS = [
  { name: 'plain', pages: {} },
  { name: 'yellow', pages: { name: 'Sunny Insurance', color: '#ffd500', logo: LOGO_FILE } },
  { name: 'navy', pages: { name: 'Harbour & Sons', color: '#0b1e5b' } },
] as const

/** Pages that together have everything that takes the colour of a deployment. */
const COLOURED = new Set([
  'sign-in-wrong',
  'sign-in-known',
  'consent',
  'device-connected',
  'expired',
])

const LINKS = {
  privacy: 'https://service.example/privacy',
  terms: 'https://service.example/terms',
  support: 'mailto:help@service.example',
}

const LOGO = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10"><rect width="10" height="10" fill="#c33"/></svg>`

interface Gallery {
  readonly keyturn: TestServer
  readonly clientOrigin: string
}

describe('pages', { skip: missingBrowser(), timeout: 300_000 }, () => {
  let chromium: Awaited<ReturnType<typeof launchBrowser>>
  before(async () => {
    chromium = await launchBrowser()
  })
  after(() => chromium?.[Symbol.asyncDispose]())

  for (const look of LOOKS) {
    const { name } = look
    it(`can be read and used by everybody: ${name}`, async () => {
      await using gallery = await openGallery(look)
      const context = { viewport: NARROW, reducedMotion: 'reduce' } as const
      await using tab = await openTab(chromium.browser, context)
      await walk(tab.page, gallery, async (page) => {
        if (name !== 'plain' && !COLOURED.has(page)) return
        await examine(tab.page, `${name}-${page}`)
      })
      assert.deepEqual(tab.problems, [])
    })
  }
})

/** Through all pages, in the order in which people come to them. */
async function walk(
  page: Page,
  { keyturn, clientOrigin }: Gallery,
  look: (name: string) => Promise<void>,
): Promise<void> {
  const { issuer } = keyturn
  const callback = `${clientOrigin}/callback`
  const authorize = (parameters: Readonly<Record<string, string>> = {}) =>
    page.goto(
      `${issuer}/auth?${new URLSearchParams({
        client_id: 'shop',
        response_type: 'code',
        scope: 'openid profile email read write',
        resource: API,
        redirect_uri: callback,
        code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
        code_challenge_method: 'S256',
        ...parameters,
      })}`,
    )
  const press = (name: string) => page.getByRole('button', { name, exact: true }).click()
  const heading = (name: string) => page.getByRole('heading', { name, exact: true }).waitFor()
  const enter = async ({ username, password }: typeof PERSON) => {
    await page.getByLabel('User name').fill(username)
    await page.getByLabel('Password').fill(password)
    await press('Sign in')
  }

  await page.goto(`${issuer}/`)
  await look('home')
  await page.goto(`${issuer}/nothing-here`)
  await look('not-found')

  await authorize()
  await look('sign-in')
  await enter({ ...PERSON, password: 'wrong' })
  await page.getByRole('alert').waitFor()
  await page.getByLabel('Password').fill('as it was typed')
  await press('Show password')
  assert.equal(await page.getByLabel('Password').getAttribute('type'), 'text')
  await look('sign-in-wrong')
  await press('Hide password')
  assert.equal(await page.getByLabel('Password').getAttribute('type'), 'password')

  await enter(FRESH)
  await heading('Choose a new password')
  await look('choose-password')
  await page.getByLabel('New password', { exact: true }).fill('aaaaaaaaaaaaaaaa')
  await page.getByLabel('New password again').fill('aaaaaaaaaaaaaaab')
  await press('Save and sign in')
  await page.getByRole('alert').waitFor()
  await look('choose-password-wrong')

  await authorize()
  await enter(PERSON)
  await heading('Allow The Shop on the Corner?')
  await look('consent')
  await page.getByRole('link', { name: 'Not you?' }).click()
  await heading('Sign in')
  assert.equal(await page.getByLabel('User name').inputValue(), '')
  await page.goBack()
  await press('Allow')
  await page.waitForURL(`${callback}*`)
  await authorize({ prompt: 'consent' })
  await look('consent-nothing-new')
  await authorize({ prompt: 'login' })
  assert.equal(await page.getByLabel('User name').inputValue(), PERSON.username)
  await look('sign-in-known')

  const gone = page.url()
  await enter(PERSON)
  await page.waitForURL(`${callback}*`)
  await page.goto(gone)
  await page.getByRole('link', { name: 'Back to The Shop on the Corner' }).waitFor()
  await look('expired')
  await authorize({ redirect_uri: 'https://other.example/' })
  await look('refused')

  const device = async () => {
    const answer = await fetch(`${issuer}/device/auth`, {
      method: 'POST',
      body: new URLSearchParams({ client_id: 'tv', scope: 'openid profile' }),
    })
    // The cast says what RFC 8628 promises.
    return ((await answer.json()) as { user_code: string }).user_code
  }
  await page.goto(`${issuer}/device`)
  await look('device-code')
  await page.getByLabel('Code').fill('WRON-GONE')
  await press('Continue')
  await page.getByRole('alert').waitFor()
  await look('device-code-wrong')
  await page.getByLabel('Code').fill(await device())
  await press('Continue')
  await look('device-confirm')
  await press('No')
  await heading('The device was not connected')
  await look('device-stopped')
  await page.goto(`${issuer}/device`)
  await page.getByLabel('Code').fill(await device())
  await press('Continue')
  await press('Yes, connect it')
  await press('Allow')
  await heading('Your device is connected')
  await look('device-connected')

  await page.goto(`${issuer}/session/end?client_id=shop`)
  await look('sign-out-of-client')
  await press('Only leave The Shop on the Corner')
  await heading('You left The Shop on the Corner')
  await look('left')
  await page.goto(`${issuer}/session/end`)
  await look('sign-out')
  await press('Stay signed in')
  await heading('You are still signed in')
  await look('stayed')
  await page.goto(`${issuer}/session/end`)
  await press('Sign out')
  await heading('You are signed out')
  await look('signed-out')
}

/** A deployment with a look, links and people, and a client that tells all about itself. */
async function openGallery({
  name,
  pages,
}: (typeof LOOKS)[number]): Promise<Gallery & AsyncDisposable> {
  const clientPort = await freePort()
  const clientOrigin = `http://localhost:${clientPort}`
  const shop = createServer((request, response) => {
    const isLogo = request.url?.startsWith('/logo')
    response.writeHead(200, { 'content-type': isLogo ? 'image/svg+xml' : 'text/html' })
    response.end(isLogo ? LOGO : '<title>The shop</title>')
  }).listen(clientPort, 'localhost')
  const told = {
    client_uri: `${clientOrigin}/`,
    logo_uri: `${clientOrigin}/logo,of;the%20shop.svg?size=1`,
    policy_uri: `${clientOrigin}/privacy`,
    tos_uri: `${clientOrigin}/terms`,
  }
  const keyturn = await startTestServer({
    settings: {
      pages: { ...pages, ...(name === 'plain' ? {} : { links: LINKS }) },
      clients: [
        {
          ...told,
          client_id: 'shop',
          client_name: 'The Shop on the Corner',
          client_secret: SECRET,
          redirect_uris: [`${clientOrigin}/callback`],
          resources: { [API]: ['read', 'write'] },
          grant_types: ['authorization_code', 'refresh_token'],
          response_types: ['code'],
        },
        {
          client_id: 'tv',
          client_name: 'Living-room television',
          ...(name === 'plain' ? {} : told),
          redirect_uris: [],
          response_types: [],
          grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
          token_endpoint_auth_method: 'none',
          application_type: 'native',
        },
      ],
      resources: RESOURCES.map((resource) => ({
        ...resource,
        ...(resource.identifier === API
          ? { name: 'Orders', scopeDescriptions: { read: 'see what you ordered' } }
          : {}),
      })),
    },
  })
  await addFresh(keyturn.config)
  return {
    keyturn,
    clientOrigin,
    [Symbol.asyncDispose]: async () => {
      await keyturn[Symbol.asyncDispose]()
      shop.closeAllConnections()
      shop.close()
    },
  }
}

/** Somebody whose password is good for one time. */
async function addFresh(config: OneIssuerConfig): Promise<void> {
  const stores = (await openStores(config, systemClock)).of(config.issuer)
  const passwords = createPasswords(config.password.argon2)
  const { account } = await newAccount({ username: FRESH.username }, passwords, systemClock)
  const passwordHash = await passwords.hash(FRESH.password)
  await stores.accounts.add({ ...account, passwordHash, mustChangePassword: true })
  await stores.close()
}
