import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { BrowserContextOptions, Locator, Page } from 'playwright-core'
import type { DemoPerson } from '../../demo/person.ts'
import { rotationPolicies } from '../../src/config/policies.ts'
import { signerOf } from '../../src/ring/view.ts'
import { launchBrowser, missingBrowser, openTab } from '../support/browser.ts'
import { startTestDemo, type TestDemo } from './demo.ts'

/** People in a real browser, at a real Keyturn, for a real application (`demo/`). */

const options = { skip: missingBrowser(), timeout: 60_000 }
const RING = 'sig/RS256'

/** One for all tests; each has a profile of its own. */
let chromium: Awaited<ReturnType<typeof launchBrowser>> | undefined
before(async () => {
  if (!options.skip) chromium = await launchBrowser()
})
after(() => chromium?.[Symbol.asyncDispose]())

test('keys turn between sign-in and sign-out: nobody notices', options, async () => {
  await using demo = await startTestDemo()
  await using tab = await newTab()
  const { page } = tab
  const { propagation, cryptoperiod, retention } = rotationPolicies(demo.config).policyFor(RING)

  await page.goto(demo.url)
  await button(page, 'Sign in').click()
  await enterPassword(page, { ...demo.person, password: 'not the password' })
  await page.getByRole('alert').waitFor()
  await enterPassword(page, demo.person)
  await page.getByRole('heading', { name: 'Allow Demo application?' }).waitFor()
  await button(page, 'Allow').click()
  await page.getByRole('heading', { name: 'Hello, Robin Demo' }).waitFor()
  const first = signer(demo)
  assert.equal(await idTokenKid(page), first)

  // The standby has been published for long enough now; it takes over at once.
  await demo.advance(propagation)
  await demo.rotate(RING)
  const second = signer(demo)
  assert.notEqual(second, first)
  await button(page, 'Refresh').click()
  await page.waitForURL(`${demo.url}/`)
  assert.equal(await idTokenKid(page), second)
  assert.ok((await tokensSignedBy(page, first)) > 0, 'an old token is there and verifies')
  assert.ok((await tokensSignedBy(page, second)) > 0, 'a new token is there and verifies')
  assert.equal(await total(page, 'failed'), '0')

  const visited: string[] = []
  page.on('framenavigated', (frame) => visited.push(new URL(frame.url()).pathname))
  await button(page, 'Sign in again').click()
  await page.waitForURL(`${demo.url}/`)
  await page.getByRole('heading', { name: 'Hello, Robin Demo' }).waitFor()
  assert.deepEqual(
    visited.filter((path) => path.startsWith('/interaction')),
    [],
    'with a session neither password nor consent is asked for',
  )
  assert.equal(await idTokenKid(page), second)

  // The key of the ID token retires, leaves the JWKS, and still verifies the hint at sign-out.
  await demo.advance(cryptoperiod + retention)
  await until(async () => !(await demo.publishedKids()).includes(second))
  await button(page, 'Sign out').click()
  await page.getByRole('heading', { name: 'Sign out?' }).waitFor()
  await page.getByText('You came from Demo application').waitFor()
  await button(page, 'Sign out').click()
  await page.waitForURL(`${demo.url}/`)
  await page.getByRole('heading', { name: 'Watch the keys turn' }).waitFor()
  await button(page, 'Sign in').click()
  await page.getByLabel('Password').waitFor()
  assert.deepEqual(tab.problems, [])
})

test('a person who has only a keyboard signs in and out', options, async () => {
  await using demo = await startTestDemo()
  await using tab = await newTab()
  const { page } = tab

  await page.goto(`${demo.url}/?still`)
  await tabTo(page, button(page, 'Sign in'))
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Sign in' }).waitFor()
  const focused = page.locator(':focus')
  await page.getByLabel('User name').and(focused).waitFor()
  await page.keyboard.type(demo.person.username)
  await page.keyboard.press('Tab')
  await page.getByLabel('Password').and(focused).waitFor()
  await page.keyboard.type(demo.person.password)
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Allow Demo application?' }).waitFor()
  await tabTo(page, button(page, 'Allow'))
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Hello, Robin Demo' }).waitFor()
  await page.goto(`${demo.url}/?still`)
  await tabTo(page, button(page, 'Sign out'))
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Sign out?' }).waitFor()
  await tabTo(page, button(page, 'Sign out'))
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Watch the keys turn' }).waitFor()
  assert.deepEqual(tab.problems, [])
})

test('without JavaScript everything works, and the page refreshes itself', options, async () => {
  await using demo = await startTestDemo()
  await using tab = await newTab({ javaScriptEnabled: false })
  const { page } = tab

  await signIn(page, demo)
  const before = await total(page, 'verified')
  await until(async () => (await total(page, 'verified')) !== before)
  await button(page, 'Sign out').click()
  await button(page, 'Sign out').click()
  await page.getByRole('heading', { name: 'Watch the keys turn' }).waitFor()
  assert.deepEqual(tab.problems, [])
})

test('signing out at Keyturn signs out of the application', options, async () => {
  await using demo = await startTestDemo()
  await using tab = await newTab()
  const { page } = tab

  await signIn(page, demo)
  await page.goto(`${demo.issuer}/session/end`)
  await button(page, 'Sign out').click()
  await page.getByRole('heading', { name: 'You are signed out' }).waitFor()
  await page.goto(demo.url)
  await page.getByRole('heading', { name: 'Watch the keys turn' }).waitFor()
  assert.deepEqual(tab.problems, [])
})

test('who does not allow it comes back to the application and is told', options, async () => {
  await using demo = await startTestDemo()
  await using tab = await newTab()
  const { page } = tab

  await page.goto(demo.url)
  await button(page, 'Sign in').click()
  await enterPassword(page, demo.person)
  await button(page, 'Deny').click()
  await page.getByText('You did not allow it').waitFor()
  assert.ok(page.url().startsWith(`${demo.url}/callback`))
  await page.getByRole('button', { name: 'Back to the start' }).click()
  await page.getByRole('heading', { name: 'Watch the keys turn' }).waitFor()
})

function newTab(context: BrowserContextOptions = {}) {
  if (!chromium) throw new TypeError('there is no browser')
  return openTab(chromium.browser, context)
}

async function signIn(page: Page, demo: TestDemo): Promise<void> {
  await page.goto(demo.url)
  await button(page, 'Sign in').click()
  await enterPassword(page, demo.person)
  await button(page, 'Allow').click()
  await page.getByRole('heading', { name: 'Hello, Robin Demo' }).waitFor()
}

async function enterPassword(page: Page, person: DemoPerson): Promise<void> {
  await page.getByLabel('User name').fill(person.username)
  await page.getByLabel('Password').fill(person.password)
  await button(page, 'Sign in').click()
}

function button(page: Page, name: string): Locator {
  return page.getByRole('button', { name, exact: true })
}

/** Presses Tab until the element has the focus. */
async function tabTo(page: Page, element: Locator): Promise<void> {
  await element.waitFor()
  for (let presses = 0; presses < 30; presses++) {
    if (await element.evaluate((node) => node.matches(':focus'))) return
    await page.keyboard.press('Tab')
  }
  assert.fail(`Tab does not reach ${element}`)
}

function signer(demo: TestDemo): string {
  const { view } = demo.server.issuers[0].scheduler.status
  return (view && signerOf(view, RING)?.key.kid) ?? ''
}

async function idTokenKid(page: Page): Promise<string> {
  const header = await page.getByRole('region', { name: 'ID token' }).locator('pre').first()
  return JSON.parse((await header.textContent()) ?? '').kid
}

/** How many tokens of the page's list were signed by the key and have verified so far. */
async function tokensSignedBy(page: Page, kid: string): Promise<number> {
  const rows = page.getByRole('row').filter({ has: page.getByTitle(`kid ${kid}`) })
  return rows.filter({ has: page.getByRole('cell', { name: /^[1-9]\d*×$/ }) }).count()
}

async function total(page: Page, name: string): Promise<string | null> {
  return page.locator('.totals div').filter({ hasText: name }).locator('dd').textContent()
}

/** Waits for a condition, not for a time. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 15_000
  while (!(await condition())) {
    assert.ok(performance.now() < deadline, 'it never came about')
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
