import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  accounts,
  allowOnce,
  authorization,
  codeOf,
  issuer,
  logged,
  open,
  type Page,
  problemOf,
  serveInteractions,
  signInAs,
  titleOf,
} from './interactions.ts'

serveInteractions()

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
    for (const nothing of ['none.css', 'constructor', 'toString', '__proto__'])
      assert.equal((await open().go(`/static/${nothing}`)).status, 404)
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

  it('is not what a program gets, whose answer says that it is none', async () => {
    const { headers } = await fetch(`${issuer}/token`, { method: 'POST' })
    assert.match(headers.get('content-type') ?? '', /^application\/json/)
    assert.equal(headers.get('x-content-type-options'), 'nosniff')
    assert.equal(headers.get('content-security-policy'), null)
  })
})
