import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { replaceAccount } from '../support/memory-accounts.ts'
import {
  API,
  accounts,
  ada,
  allowOnce,
  authorization,
  clock,
  codeOf,
  consents,
  DESCRIBED,
  open,
  permissionsOf,
  serveInteractions,
  signInAs,
} from './interactions.ts'

serveInteractions()

describe('consent', () => {
  it('lists in plain words what is asked for, who asks, who allows and what comes next', async () => {
    const browser = open()
    const page = await browser.send(await browser.go(authorization()), signInAs('ada'))
    assert.deepEqual(permissionsOf(page), [
      'recognise you when you come back',
      'see your name and the other details of your profile',
    ])
    assert.match(page.html, /<dd>ada<\/dd>/)
    assert.match(page.html, /<dd>notes\.example\.com<\/dd>/)
    assert.match(page.html, /href="https:\/\/notes\.example\.com\/privacy\?a&amp;b"/)
  })

  it('is not asked for again, neither in the session nor in a new one', async () => {
    const first = open()
    await allowOnce(first)
    assert(codeOf(await first.go(authorization())))
    const second = open()
    assert(codeOf(await second.send(await second.go(authorization()), signInAs('ada'))))
  })

  it('is asked for what is new only, and remembers all of it', async () => {
    const browser = open()
    await allowOnce(browser)
    const more = { scope: 'openid profile email read', resource: API }
    const page = await browser.go(authorization(more))
    assert.deepEqual(permissionsOf(page), ['see your email address', 'read'])
    assert.match(page.html, /<h2>At https:\/\/api\.example\.com\/<\/h2>/)
    assert(codeOf(await browser.send(page, { action: 'allow' })))
    const { updatedAt, ...consent } = (await consents.find(ada.id, 'notes')) ?? {}
    assert.deepEqual(consent, {
      accountId: ada.id,
      clientId: 'notes',
      oidcScopes: ['openid', 'profile', 'email'],
      oidcClaims: [],
      resourceScopes: { [API]: ['read'] },
    })
    assert(updatedAt && Math.abs(updatedAt - clock.now()) < 5)
    const another = open()
    const signedIn = await another.send(await another.go(authorization(more)), signInAs('ada'))
    assert(codeOf(signedIn))
  })

  it('is asked for in the words of the API, where it has some', async () => {
    const browser = open()
    await allowOnce(browser)
    const scope = 'openid profile read write'
    const page = await browser.go(authorization({ scope, resource: DESCRIBED }))
    assert.match(page.html, /<h2>At Notes<\/h2>/)
    assert.match(page.html, /<li>read your &lt;notes&gt;<\/li>\s*<li><code>write<\/code><\/li>/)
    assert(codeOf(await browser.send(page, { action: 'allow' })))
    const { resourceScopes } = (await consents.find(ada.id, 'notes')) ?? {}
    assert.deepEqual(resourceScopes, { [DESCRIBED]: ['read', 'write'] })
  })

  it('is asked for single claims', async () => {
    const browser = open()
    await allowOnce(browser)
    const claims = JSON.stringify({ id_token: { email: null } })
    const page = await browser.go(authorization({ claims }))
    assert.deepEqual(permissionsOf(page), ['see your email address'])
    assert(codeOf(await browser.send(page, { action: 'allow' })))
    assert.deepEqual((await consents.find(ada.id, 'notes'))?.oidcClaims, ['email'])
  })

  it('is asked for again with prompt=consent, and says that nothing is new', async () => {
    const browser = open()
    await allowOnce(browser)
    const page = await browser.go(authorization({ prompt: 'consent' }))
    assert.match(page.html, /asks for nothing new/)
    assert(codeOf(await browser.send(page, { action: 'allow' })))
  })

  it('goes back with access_denied when denied, and remembers nothing', async () => {
    const browser = open()
    const page = await browser.send(await browser.go(authorization()), signInAs('ada'))
    const back = await browser.send(page, { action: 'deny' })
    assert.equal(back.url.searchParams.get('error'), 'access_denied')
    assert.equal(await consents.find(ada.id, 'notes'), undefined)
  })

  it('is neither given nor denied by a form without a button', async () => {
    const browser = open()
    const page = await browser.send(await browser.go(authorization()), signInAs('ada'))
    assert.equal((await browser.send(page, {})).status, 400)
    assert.equal((await browser.send(page, { action: 'sign-in' })).status, 400)
    assert.equal(await consents.find(ada.id, 'notes'), undefined)
  })

  it('is not taken from somebody who was disabled in the meantime', async () => {
    const browser = open()
    const page = await browser.send(await browser.go(authorization()), signInAs('ada'))
    await replaceAccount(accounts, { ...ada, isDisabled: true })
    assert.equal((await browser.send(page, { action: 'allow' })).status, 400)
    assert.equal(await consents.find(ada.id, 'notes'), undefined)
  })
})
