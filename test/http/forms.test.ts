import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import {
  authorization,
  codeOf,
  issuer,
  logged,
  mac,
  open,
  serveInteractions,
  signInAs,
  titleOf,
} from './interactions.ts'

serveInteractions()

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
