import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { rotationPolicies } from '../../src/config/policies.ts'
import { launchBrowser, missingBrowser, openTab } from '../support/browser.ts'
import { examine, NARROW, WIDE } from '../support/examine.ts'
import { startTestDemo } from './demo.ts'

/** The pages of the demo's application, on a phone and on a screen, with keys of every phase. */

const RING = 'sig/RS256'

describe('pages of the demo', { skip: missingBrowser(), timeout: 120_000 }, () => {
  let chromium: Awaited<ReturnType<typeof launchBrowser>>
  before(async () => {
    chromium = await launchBrowser()
  })
  after(() => chromium?.[Symbol.asyncDispose]())

  it('can be read and used by everybody', async () => {
    await using demo = await startTestDemo()
    await using tab = await openTab(chromium.browser, { reducedMotion: 'reduce' })
    const { page } = tab
    const press = (name: string) => page.getByRole('button', { name, exact: true }).click()
    const heading = (name: string) => page.getByRole('heading', { name, exact: true }).waitFor()
    const look = async (name: string, viewport = NARROW) => {
      await page.setViewportSize(viewport)
      await examine(page, `demo-${name}`)
    }

    // Still, so that a page is not replaced while it is looked at.
    await page.goto(`${demo.url}/?still`)
    await heading('Watch the keys turn')
    await look('first')
    await page.goto(`${demo.url}/callback?error=access_denied&state=none`)
    await look('problem')

    await page.goto(demo.url)
    await press('Sign in')
    await page.getByLabel('User name').fill(demo.person.username)
    await page.getByLabel('Password').fill(demo.person.password)
    await press('Sign in')
    await press('Allow')
    await heading('Hello, Robin Demo')

    const { propagation, cryptoperiod } = rotationPolicies(demo.config).policyFor(RING)
    await demo.advance(propagation)
    await demo.rotate(RING)
    await demo.advance(cryptoperiod)
    await press('Get another token')
    await page.goto(`${demo.url}/?still`)
    await heading('Hello, Robin Demo')
    await look('signed-in')
    // Here the pictures have words as well.
    await look('signed-in-on-a-screen', WIDE)
    assert.deepEqual(tab.problems, [])
  })
})
