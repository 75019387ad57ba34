import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { startTestServer, type TestServer } from '../../lab/server.ts'
import { systemClock } from '../../src/clock.ts'

/** A node whose keys are too old to serve: what people and programs are told. */

const JAVA = 'text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2'
const CHROMIUM = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8'
const DAY = 86_400

let keyturn: TestServer
let sinceStart = 0
let isRunningAway = false
before(async () => {
  // Once it runs away, any ring is days old at the moment it was loaded.
  const elapsed = () => {
    if (isRunningAway) sinceStart += DAY
    return systemClock.elapsed() + sinceStart
  }
  keyturn = await startTestServer({ clock: { ...systemClock, elapsed }, path: '/op' })
  isRunningAway = true
})
after(() => keyturn[Symbol.asyncDispose]())

const ask = (path: string, accept: string, method = 'GET') =>
  fetch(`${keyturn.issuer}${path}`, {
    method,
    redirect: 'manual',
    headers: { accept },
    ...(method === 'POST' ? { body: new URLSearchParams({ action: 'sign-in' }) } : {}),
  })

describe('a node that may not serve', () => {
  const places: readonly (readonly [path: string, method?: string])[] = [
    ...([['/auth?client_id=web'], ['/auth/xxxxxxxxxxxxxxxxxxxx'], ['/session/end']] as const),
    ...([['/device'], ['/device', 'POST'], ['/account'], ['/'], ['/interaction/x']] as const),
    ...([
      ['/interaction/x', 'POST'],
      ['/session/end/confirm', 'POST'],
    ] as const),
  ]
  for (const [path, method = 'GET'] of places) {
    it(`shows people a page at ${method} ${path}`, async () => {
      for (const accept of [CHROMIUM, 'text/html']) {
        const answer = await ask(path, accept, method)
        assert.equal(answer.status, 503)
        assert.ok(Number(answer.headers.get('retry-after')) > 0)
        assert.match(answer.headers.get('content-type') ?? '', /^text\/html/)
        assert.match(answer.headers.get('content-security-policy') ?? '', /default-src 'none'/)
        const page = await answer.text()
        assert.match(page, /<h1>Please try again in a moment<\/h1>/)
        // A form that was sent cannot be sent again by opening its address.
        assert.equal(page.includes('<a href="">Try again</a>'), method === 'GET')
      }
    })
  }

  it('tells programs in JSON, at their own addresses whatever their library accepts', async () => {
    for (const [path, accept, method] of [
      ['/token', JAVA, 'POST'],
      ['/token', CHROMIUM, 'POST'],
      ['/userinfo', JAVA, 'GET'],
      ['/device/auth', JAVA, 'POST'],
      ['/request', JAVA, 'POST'],
      ['/auth?client_id=web', 'application/json', 'GET'],
      ['/auth?client_id=web', '*/*', 'GET'],
      ['/session/end', '*/*', 'GET'],
    ] as const) {
      const answer = await ask(path, accept, method)
      assert.equal(answer.status, 503, path)
      assert.ok(Number(answer.headers.get('retry-after')) > 0)
      assert.match(await answer.text(), /"error":"temporarily_unavailable"/)
    }
  })
})

it('a program that says it accepts HTML is told in JSON what is wrong with its request', async () => {
  isRunningAway = false
  await using fit = await startTestServer()
  for (const path of ['/token', '/userinfo', '/token/introspection', '/request']) {
    const answer = await fetch(`${fit.issuer}${path}`, {
      method: 'POST',
      headers: { accept: JAVA },
      body: new URLSearchParams({ client_id: 'unknown', grant_type: 'nothing' }),
    })
    assert.ok(answer.status >= 400 && answer.status < 500, path)
    assert.match(answer.headers.get('content-type') ?? '', /^application\/json/, path)
    assert.match(await answer.text(), /^\{"error":"/)
  }
})
