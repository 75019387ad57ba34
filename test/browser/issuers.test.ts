import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import type { Page } from 'playwright-core'
import { freePort } from '../../lab/free-port.ts'
import { authorizationRequest, discoverAs } from '../../lab/relying-party.ts'
import { CLIENTS, PERSON, startTestServer } from '../../lab/server.ts'
import { orderRevocation } from '../../src/ring/orders.ts'
import { launchBrowser, missingBrowser, openTab } from '../support/browser.ts'
import { operate } from '../support/operator.ts'

/** A person in a real browser at two issuers of one server, which share a host. */

const options = { skip: missingBrowser(), timeout: 60_000 }

let chromium: Awaited<ReturnType<typeof launchBrowser>> | undefined
before(async () => {
  if (!options.skip) chromium = await launchBrowser()
})
after(() => chromium?.[Symbol.asyncDispose]())

test(
  'sessions of two issuers on one host are two, also when keys of one are revoked',
  options,
  async () => {
    const port = await freePort()
    const [one, two] = [`http://localhost:${port}/one`, `http://localhost:${port}/two`]
    await using application = await startApplication()
    const redirectUri = `${application.url}/callback`
    await using server = await startTestServer({
      settings: {
        issuer: undefined,
        http: { port, host: '127.0.0.1' },
        clients: CLIENTS.map((client) =>
          client.client_id === 'web' ? { ...client, redirect_uris: [redirectUri] } : client,
        ),
        issuers: [
          { issuer: one, pages: { name: 'First house' } },
          { issuer: two, pages: { name: 'Second house' } },
        ],
      },
    })
    assert.ok(chromium)
    await using tab = await openTab(chromium.browser)
    const { page } = tab

    const first = await signIn(page, one, {
      name: 'First house',
      steps: ['password', 'consent'],
      redirectUri,
    })
    const other = await signIn(page, two, {
      name: 'Second house',
      steps: ['password', 'consent'],
      redirectUri,
    })

    const { kid = '' } = decodeProtectedHeader(first)
    await operate({ ...server.config, issuer: one }, (facts, policies, now) =>
      orderRevocation(facts, policies, { kid, now, actor: 'test', reason: 'leaked' }),
    )
    for (const { scheduler } of server.server.issuers) await scheduler.runOnce()

    const again = await signIn(page, one, { name: 'First house', steps: [], redirectUri })
    assert.notEqual(decodeProtectedHeader(again).kid, kid, 'the session lives on, the key does not')
    const otherAgain = await signIn(page, two, { name: 'Second house', steps: [], redirectUri })
    assert.equal(decodeProtectedHeader(otherAgain).kid, decodeProtectedHeader(other).kid)
    const verify = (token: string, issuer: string) =>
      jwtVerify(token, createRemoteJWKSet(new URL(`${issuer}/jwks`)), { issuer })
    await assert.rejects(verify(first, one), { code: 'ERR_JWKS_NO_MATCHING_KEY' })
    await verify(again, one)
    await verify(other, two)
    assert.deepEqual(tab.problems, [])
  },
)

/** What the browser is led back to. */
async function startApplication(): Promise<{ readonly url: string } & AsyncDisposable> {
  const server = createServer((_request, response) => response.end('back'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  // A server that listens on TCP has an AddressInfo.
  const { port } = server.address() as AddressInfo
  return {
    url: `http://localhost:${port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((closed) => server.close(closed))
    },
  }
}

interface Visit {
  readonly name: string
  readonly steps: readonly string[]
  readonly redirectUri: string
}

/** Goes through the pages that are expected, and no others. @returns the ID token */
async function signIn(
  page: Page,
  issuer: string,
  { name, steps, redirectUri }: Visit,
): Promise<string> {
  const web = await discoverAs(issuer, 'web')
  const { url, redeem } = await authorizationRequest(web, { redirect_uri: redirectUri })
  await page.goto(url)
  if (steps.includes('password')) {
    await page.getByText(name).first().waitFor()
    await page.getByLabel('User name').fill(PERSON.username)
    await page.getByLabel('Password').fill(PERSON.password)
    await page.getByRole('button', { name: 'Sign in' }).click()
  }
  if (steps.includes('consent')) await page.getByRole('button', { name: 'Allow' }).click()
  await page.waitForURL(`${redirectUri}?*`)
  return (await redeem(new URL(page.url()))).id_token ?? ''
}
