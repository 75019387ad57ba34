import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createAccount, replaceAccount } from '../support/memory-accounts.ts'
import {
  accounts,
  ada,
  allowOnce,
  authorization,
  bob,
  CALLBACK,
  clock,
  codeOf,
  consents,
  FRESH,
  idTokenOf,
  logged,
  NOTHING,
  open,
  passwords,
  problemOf,
  RIGHT,
  serveInteractions,
  signInAs,
  titleOf,
} from './interactions.ts'

serveInteractions()

describe('sign-in', () => {
  it('leads from the application through sign-in and consent back to the application', async () => {
    const browser = open()
    const signIn = await browser.go(authorization({ state: 'xyz' }))
    assert.equal(signIn.status, 200)
    assert.match(signIn.html, /to continue to <strong>Notes &amp; &lt;Friends&gt;<\/strong>/)
    const consent = await browser.send(signIn, signInAs('ada'))
    assert.equal(titleOf(consent), 'Allow Notes &amp; &lt;Friends&gt;?')
    const back = await browser.send(consent, { action: 'allow' })
    assert.equal(back.status, 303)
    assert.equal(back.url.origin + back.url.pathname, CALLBACK)
    assert.equal(back.url.searchParams.get('state'), 'xyz')
    assert(codeOf(back))
  })

  it('fills in the login hint as text and puts the cursor into the password', async () => {
    const page = await open().go(authorization({ login_hint: '"><b>ada' }))
    assert.match(page.html, /name="username"[^>]* value="&quot;&gt;&lt;b&gt;ada"/)
    assert.match(page.html, /id="password"[^>]* autofocus/)
  })

  it('goes on only as the person of the ID token that the client sends', async () => {
    const grace = createAccount({ username: 'grace', passwordHash: await passwords.hash(RIGHT) })
    await accounts.add(grace)
    const hinted = authorization({ id_token_hint: await idTokenOf(grace) })
    const problem = 'You are signed in as ada, but Notes &amp; &lt;Friends&gt; asks for grace.'

    const signedIn = open()
    await allowOnce(signedIn)
    for (const browser of [open(), signedIn]) {
      const page = await browser.go(hinted)
      assert.match(page.html, /name="username"[^>]* value="grace"/)
      assert.equal(problemOf(page), browser === signedIn ? problem : undefined)
      const again = await browser.send(page, signInAs('ada'))
      assert.equal(titleOf(again), 'Sign in')
      assert.equal(problemOf(again), problem)
      const resumed = await browser.go(`/auth/${again.url.pathname.split('/').at(-1)}`)
      assert.equal(titleOf(resumed), 'Sign in', 'without a sign-in')
      // The form that ends the session of the other person submits itself in a browser.
      const change = await browser.send(resumed, signInAs('grace'))
      const consent = await browser.send(change, {})
      assert.equal(titleOf(consent), 'Allow Notes &amp; &lt;Friends&gt;?')
      assert.match(consent.html, /Signed in as<\/dt><dd>grace</)
    }
  })

  it('says that the client asks for another person by the claim sub', async () => {
    const browser = open()
    const claims = JSON.stringify({ id_token: { sub: { value: bob.id } } })
    const page = await browser.send(await browser.go(authorization({ claims })), signInAs('ada'))
    assert.equal(
      problemOf(page),
      'You are signed in as ada, but Notes &amp; &lt;Friends&gt; asks for another person.',
    )
  })

  it('says the same for a wrong password, an unknown name and a disabled account', async () => {
    await replaceAccount(accounts, { ...bob, isDisabled: true })
    const pages = []
    for (const [username, password] of [
      ['ada', 'wrong'],
      ['nobody', 'wrong'],
      ['bob', RIGHT],
    ] as const) {
      const browser = open()
      const page = await browser.go(authorization())
      const again = await browser.send(page, { action: 'sign-in', username, password })
      assert.equal(again.status, 401)
      assert.match(again.html, new RegExp(`value="${username}"`))
      // The secret of a form is another one in each interaction.
      pages.push(again.html.replaceAll(username, '').replace(/name="xsrf" value="[^"]*"/, ''))
    }
    assert.equal(new Set(pages).size, 1)
    assert.match(pages[0] ?? '', /User name or password is not right\./)
  })

  it('says how long to wait after too many wrong passwords', async () => {
    const browser = open()
    let page = await browser.go(authorization())
    for (let count = 0; count < 6; count += 1)
      page = await browser.send(page, { action: 'sign-in', username: 'ada', password: 'wrong' })
    assert.equal(page.status, 429)
    const retryAfter = Number(page.headers.get('retry-after'))
    assert(retryAfter > 0 && retryAfter <= 900)
    assert.equal(problemOf(page), 'Too many attempts. Please try again in 15 minutes.')
  })

  it('goes back with access_denied when the person cancels', async () => {
    const browser = open()
    const back = await browser.send(await browser.go(authorization()), { action: 'deny' })
    assert.equal(back.url.searchParams.get('error'), 'access_denied')
  })

  it('does not write passwords or typed names into the log', async () => {
    const browser = open()
    const page = await browser.go(authorization())
    await browser.send(page, { action: 'sign-in', username: 'typed', password: 'wrong password' })
    await browser.send(page, signInAs('ada'))
    assert.equal(logged.length, 2)
    assert.doesNotMatch(JSON.stringify(logged), /typed|wrong password|correct horse/)
  })

  it('writes who signs in, from where, at which client, and why somebody may not', async () => {
    await replaceAccount(accounts, { ...bob, isDisabled: true })
    const attempt = async (username: string, password: string) => {
      const browser = open()
      const fields = { action: 'sign-in', username, password }
      await browser.send(await browser.go(authorization()), fields)
    }
    await attempt('ADA', 'wrong')
    await attempt('bob', RIGHT)
    await attempt('bob', 'wrong')
    await attempt('a password by mistake', RIGHT)
    await attempt('ada', RIGHT)
    const about = { client: 'notes', address: '127.0.0.1' }
    const [isAda, isBob] = [ada, bob].map(({ id, username }) => ({ account: id, username }))
    assert.deepEqual(
      logged.map(({ details, message }) => [message, details]),
      [
        ['sign-in refused', { ...about, ...isAda, reason: 'wrong-password' }],
        ['sign-in refused', { ...about, ...isBob, reason: 'disabled' }],
        ['sign-in refused', { ...about, ...isBob, reason: 'wrong-password' }],
        ['sign-in refused', { ...about, reason: 'unknown-name' }],
        ['signed in', { ...about, ...isAda }],
      ],
    )
  })

  it('writes who chose a password, and who did not and why', async () => {
    const browser = open()
    const choose = await browser.send(await browser.go(authorization()), signInAs('bob'))
    const fields = (password: string) => ({
      action: 'choose-password',
      password,
      repeated: password,
    })
    const again = await browser.send(choose, fields('short'))
    await browser.send(again, fields(FRESH))
    await browser.send(await browser.go(authorization({ prompt: 'consent' })), { action: 'deny' })
    const about = { client: 'notes', address: '127.0.0.1' }
    const isBob = { account: bob.id, username: 'bob' }
    assert.deepEqual(
      logged.map(({ details, message }) => [message, details]),
      [
        ['signed in with a one-time password', { ...about, ...isBob }],
        ['password not changed', { ...about, ...isBob, reason: 'too-short' }],
        ['password changed', { ...about, ...isBob }],
        ['request denied', { ...about, prompt: 'consent' }],
      ],
    )
  })

  it('asks again, rather than failing, when the account of a session is disabled', async () => {
    const browser = open()
    await allowOnce(browser)
    await replaceAccount(accounts, { ...ada, isDisabled: true })
    const page = await browser.go(authorization())
    assert.equal(titleOf(page), 'Sign in')
    const silent = await browser.go(authorization({ prompt: 'none' }))
    assert.equal(silent.url.searchParams.get('error'), 'login_required')
  })
})

describe('signing in as somebody else', () => {
  it('ends the session of the person before, also without scripts', async () => {
    await replaceAccount(accounts, { ...bob, mustChangePassword: false })
    const browser = open()
    await allowOnce(browser)
    const signIn = await browser.go(authorization({ prompt: 'login' }))
    assert.match(signIn.html, /name="username"[^>]* value="ada"/)
    const submitting = await browser.send(signIn, signInAs('bob'))
    assert.match(submitting.html, /<noscript>/)
    const consent = await browser.send(submitting, {})
    assert.match(consent.html, /<dd>bob<\/dd>/)
    assert(codeOf(await browser.send(consent, { action: 'allow' })))
    assert(await consents.find(bob.id, 'notes'))
  })

  for (const params of [{}, { prompt: 'login' }, { prompt: 'consent' }]) {
    it(`is offered wherever a person is named: ${JSON.stringify(params)}`, async () => {
      await replaceAccount(accounts, { ...bob, mustChangePassword: false })
      const browser = open()
      await allowOnce(browser)
      await consents.change(ada.id, 'notes', () => ({ ...NOTHING, updatedAt: clock.now() }))
      const named = await browser.go(authorization({ scope: 'openid email', ...params }))
      const other = /<a href="([^"]*)">Not you\?<\/a>/.exec(named.html)?.[1] ?? ''
      const signIn = await browser.go(new URL(other.replaceAll('&amp;', '&'), named.url).href)
      assert.equal(titleOf(signIn), 'Sign in')
      assert.match(signIn.html, /name="username"[^>]* value=""/)
      assert.doesNotMatch(signIn.html, /Not you/)
      const wrong = await browser.send(signIn, { ...signInAs('bob'), password: 'wrong' })
      assert.equal(wrong.status, 401)
      const consent = await browser.send(await browser.send(wrong, signInAs('bob')), {})
      assert.match(consent.html, /<dd>bob<\/dd>/)
      assert(codeOf(await browser.send(consent, { action: 'allow' })))
      assert(await consents.find(bob.id, 'notes'))
    })
  }

  it('is not a way to allow something without being asked', async () => {
    const browser = open()
    const consent = await browser.send(await browser.go(authorization()), signInAs('ada'))
    const other = await browser.go(`${consent.url.href}?other=`)
    assert.equal((await browser.send(other, { action: 'allow' })).status, 400)
    assert.equal(await consents.find(ada.id, 'notes'), undefined)
  })
})

describe('one-time password', () => {
  it('must be replaced before anything else, and then signs in', async () => {
    const browser = open()
    const choose = await browser.send(await browser.go(authorization()), signInAs('bob'))
    assert.equal(titleOf(choose), 'Choose a new password')
    const fields = { action: 'choose-password', password: FRESH, repeated: FRESH }
    assert.match(titleOf(await browser.send(choose, fields)) ?? '', /^Allow/)
    const stored = await accounts.findById(bob.id)
    assert.equal(stored?.mustChangePassword, false)
    assert.equal(await passwords.verify(FRESH, stored?.passwordHash ?? ''), true)
  })

  it('stays at that step through a reload, and does not sign in by going on', async () => {
    const browser = open()
    const choose = await browser.send(await browser.go(authorization()), signInAs('bob'))
    assert.equal(titleOf(await browser.go(choose.url.href)), 'Choose a new password')
    const uid = choose.url.pathname.split('/').at(-1)
    assert.equal(titleOf(await browser.go(`/auth/${uid}`)), 'Sign in')
  })

  it('explains what is wrong with a new password', async () => {
    const browser = open()
    let page = await browser.send(await browser.go(authorization()), signInAs('bob'))
    for (const [password, repeated, problem] of [
      [FRESH, `${FRESH}!`, /not the same/],
      ['short', 'short', /at least 15 characters/],
      ['bobobobobobobobobob', 'bobobobobobobobobob', /easy to guess/],
      [RIGHT, RIGHT, /Choose a new one/],
    ] as const) {
      page = await browser.send(page, { action: 'choose-password', password, repeated })
      assert.equal(page.status, 422)
      assert.match(problemOf(page) ?? '', problem)
    }
  })

  it('cannot be replaced by somebody who did not have it', async () => {
    const browser = open()
    const fields = { action: 'choose-password', username: 'bob', password: FRESH, repeated: FRESH }
    const page = await browser.send(await browser.go(authorization()), fields)
    assert.equal(page.status, 409)
    assert.deepEqual(await accounts.findById(bob.id), bob)
  })

  it('loses its force when the account changes in the meantime', async () => {
    const browser = open()
    const choose = await browser.send(await browser.go(authorization()), signInAs('bob'))
    await replaceAccount(accounts, { ...bob, updatedAt: bob.updatedAt + 60 })
    const fields = { action: 'choose-password', password: FRESH, repeated: FRESH }
    assert.equal((await browser.send(choose, fields)).status, 409)
  })
})
