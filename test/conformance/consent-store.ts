import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { AccountStore, Consent, ConsentStore } from '../../src/accounts/account-store.ts'
import { createAccount, rememberConsent } from '../support/memory-accounts.ts'

interface Opened {
  readonly accounts: AccountStore
  readonly consents: ConsentStore
  readonly close?: () => Promise<void>
}

/**
 * What every ConsentStore does, together with the AccountStore beside it.
 * @param open gives two empty stores of one database, and a way to close them
 */
export function testConsentStore(name: string, open: () => Promise<Opened>): void {
  describe(`ConsentStore: ${name}`, () => {
    const ada = createAccount({ username: 'ada' })
    const bob = createAccount({ username: 'bob' })
    const consent: Consent = {
      accountId: ada.id,
      clientId: 'app',
      oidcScopes: ['openid', 'profile'],
      oidcClaims: ['email_verified'],
      resourceScopes: { 'https://api.example.com/v1': ['read', 'write'] },
      updatedAt: 1_760_000_000,
    }
    let opened: Opened
    let consents: ConsentStore
    beforeEach(async () => {
      opened = await open()
      consents = opened.consents
      await opened.accounts.add(ada)
      await opened.accounts.add(bob)
    })
    afterEach(() => opened.close?.())

    it('gives back what was remembered', async () => {
      await rememberConsent(consents, consent)
      assert.deepEqual(await consents.find(ada.id, 'app'), consent)
    })

    it('keeps empty lists', async () => {
      const empty = { ...consent, oidcScopes: [], oidcClaims: [], resourceScopes: {} }
      await rememberConsent(consents, empty)
      assert.deepEqual(await consents.find(ada.id, 'app'), empty)
    })

    it('replaces what was remembered for the same person and client', async () => {
      await rememberConsent(consents, consent)
      const replaced = { ...consent, oidcScopes: ['openid'], updatedAt: 1_760_000_100 }
      await rememberConsent(consents, replaced)
      assert.deepEqual(await consents.find(ada.id, 'app'), replaced)
    })

    it('loses none of several consents at once, also where there was none before', async () => {
      for (const before of [undefined, consent]) {
        const clientId = before ? 'app' : 'another'
        if (before) await rememberConsent(consents, before)
        const scopes = Array.from({ length: 10 }, (_, i) => `scope-${i}`)
        await Promise.all(
          scopes.map((scope) =>
            consents.change(ada.id, clientId, (remembered) => ({
              // A union, as the first write may be followed by others before it is known to be done.
              oidcScopes: [...new Set([...(remembered?.oidcScopes ?? []), scope])],
              oidcClaims: [],
              resourceScopes: {},
              updatedAt: 1,
            })),
          ),
        )
        const found = await consents.find(ada.id, clientId)
        assert.deepEqual(
          found?.oidcScopes.toSorted(),
          [...(before?.oidcScopes ?? []), ...scopes].toSorted(),
        )
      }
    })

    it('survives two simultaneous consents for the same person and client', async () => {
      await Promise.all([rememberConsent(consents, consent), rememberConsent(consents, consent)])
      assert.deepEqual(await consents.find(ada.id, 'app'), consent)
    })

    it('keeps persons and clients apart', async () => {
      await rememberConsent(consents, consent)
      assert.equal(await consents.find(ada.id, 'other'), undefined)
      assert.equal(await consents.find(bob.id, 'app'), undefined)
    })

    it('forgets what is removed, and does not mind when there is nothing', async () => {
      await rememberConsent(consents, consent)
      await rememberConsent(consents, { ...consent, clientId: 'other' })
      await consents.remove(ada.id, 'app')
      await consents.remove(ada.id, 'app')
      assert.equal(await consents.find(ada.id, 'app'), undefined)
      assert.notEqual(await consents.find(ada.id, 'other'), undefined)
    })

    it('forgets the consents of an account that is removed, and only those', async () => {
      await rememberConsent(consents, consent)
      await rememberConsent(consents, { ...consent, accountId: bob.id })
      await opened.accounts.remove(ada.id)
      assert.equal(await consents.find(ada.id, 'app'), undefined)
      assert.notEqual(await consents.find(bob.id, 'app'), undefined)
    })
  })
}
