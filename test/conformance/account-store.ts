import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { AccountStore } from '../../src/accounts/account-store.ts'
import { createAccount, replaceAccount } from '../support/memory-accounts.ts'

/** Changes of one account at once. */
const RIVALS = 20

export interface AccountsUnderTest {
  readonly accounts: AccountStore
  /** Those of another issuer in the same place; absent where the store knows of one issuer only. */
  readonly elsewhere?: { readonly accounts: AccountStore }
  readonly close?: () => Promise<void>
}

/**
 * What every AccountStore does.
 * @param open gives an empty store, and a way to close it
 */
export function testAccountStore(name: string, open: () => Promise<AccountsUnderTest>): void {
  describe(`AccountStore: ${name}`, () => {
    let opened: Awaited<ReturnType<typeof open>>
    let accounts: AccountStore
    beforeEach(async () => {
      opened = await open()
      accounts = opened.accounts
    })
    afterEach(() => opened.close?.())

    it('gives back every field of an account, found by id and by user name', async () => {
      const ada = createAccount({
        claims: {
          name: 'Ada Lovelace',
          email: 'ada@example.com',
          email_verified: true,
          address: { locality: 'London', formatted: 'Line one\nLine “two”' },
          birthdate: '1815-12-10',
          updated_at: 1_760_000_002,
          groups: ['a', { b: null }],
        },
        isAdministrator: true,
        isDisabled: true,
        mustChangePassword: true,
        createdAt: 1_760_000_001,
        updatedAt: 4_102_444_800,
      })
      assert.equal(await accounts.add(ada), true)
      assert.deepEqual(await accounts.findById(ada.id), ada)
      assert.deepEqual(await accounts.findByUsername('ada'), ada)
    })

    it('keeps what is unknown about a person unknown, and tells it from what is not so', async () => {
      const known = [
        {},
        { email: 'ada@example.com' },
        { email: 'ada@example.com', email_verified: false },
        { phone_number: '+442079460000', phone_number_verified: false },
      ]
      for (const [index, claims] of known.entries()) {
        const person = createAccount({ username: `ada ${index}`, claims })
        await accounts.add(person)
        assert.deepEqual(await accounts.findById(person.id), person)
      }
    })

    it('compares user names in lower case, beyond the letters of English', async () => {
      const zoe = createAccount({ username: 'Zoë.Smith' })
      await accounts.add(zoe)
      assert.equal((await accounts.findByUsername('ZOË.smith'))?.id, zoe.id)
    })

    it('does not take a user name twice, whatever its case', async () => {
      const first = createAccount({ username: 'ada' })
      assert.equal(await accounts.add(first), true)
      assert.equal(await accounts.add(createAccount({ username: 'ADA' })), false)
      assert.deepEqual(await accounts.list(), [first])
      assert.equal(await accounts.isEmpty(), false)
    })

    it('never shows an issuer the people of another one, who may have the same names and ids', async () => {
      if (!opened.elsewhere) return
      const { accounts: others } = opened.elsewhere
      const ada = createAccount({ username: 'ada' })
      const theirs = { ...ada, claims: { name: 'Another Ada' } }
      assert.equal(await accounts.add(ada), true)
      assert.equal(await others.isEmpty(), true)
      assert.equal(await others.findByUsername('ada'), undefined)
      assert.equal(await others.add(theirs), true)
      assert.equal(await others.add(createAccount({ username: 'Ada' })), false)
      // Looks like one of the other issuer.
      assert.equal(await others.add(createAccount({ username: 'admin1' })), true)
      assert.equal(await accounts.add(createAccount({ username: 'adminl' })), true)
      assert.equal(await others.findByUsername('adminl'), undefined)
      await others.change(ada.id, () => ({ isDisabled: true }))
      assert.deepEqual(await accounts.findById(ada.id), ada)
      assert.deepEqual(await accounts.forged(), [])
      assert.equal(await accounts.remove(ada.id), true)
      assert.deepEqual(await others.findByUsername('ADA'), { ...theirs, isDisabled: true })
      assert.equal((await others.list()).length, 2)
    })

    it('lets one of two simultaneous additions of a user name win', async () => {
      const rivals = [createAccount({ username: 'ada' }), createAccount({ username: 'Ada' })]
      const answers = await Promise.all(rivals.map((account) => accounts.add(account)))
      assert.deepEqual(answers.toSorted(), [false, true])
      assert.equal((await accounts.list()).length, 1)
    })

    it('finds nobody where there is nobody', async () => {
      assert.equal(await accounts.findById('nobody'), undefined)
      assert.equal(await accounts.findByUsername('nobody'), undefined)
      assert.equal(await accounts.findByUsername(''), undefined)
      assert.equal(await accounts.isEmpty(), true)
    })

    it('finds one account however its name is typed (RFC 8265), and adds no twin', async () => {
      const typed = {
        josé: ['jose\u0301', 'JOSÉ', 'JOSE\u0301', 'ｊｏｓé', 'Ｊｏｓé'],
        ångström: ['Å\u006egstro\u0308m', '\u212bNGSTRÖM', 'a\u030angström'],
        タケシ: ['ﾀｹｼ'],
        パパ: ['ﾊﾟﾊﾟ', 'ハ\u309aハ\u309a'],
        νίκος: ['νι\u0301κος', 'Νίκος'],
      }
      for (const [username, others] of Object.entries(typed)) {
        const account = createAccount({ username })
        assert.equal(await accounts.add(account), true, username)
        for (const other of others) {
          assert.equal((await accounts.findByUsername(other))?.id, account.id, other)
          assert.equal(await accounts.add(createAccount({ username: other })), false, other)
        }
      }
    })

    it('keeps a name in the form in which it is compared', async () => {
      const account = createAccount({ username: 'ＪＯＳＥ\u0301' })
      await accounts.add(account)
      assert.equal((await accounts.findById(account.id))?.username, 'josé')
    })

    it('tells names apart that differ otherwise', async () => {
      const usernames = ['ada', 'adá', 'adä', 'ada b', 'adab', 'адам']
      for (const username of usernames) {
        assert.equal(await accounts.add(createAccount({ username })), true, username)
      }
      for (const username of usernames) {
        assert.equal((await accounts.findByUsername(username))?.username, username)
      }
      for (const username of ['ada  b', 'àda', 'ada\0', '\0', 'ada ']) {
        assert.equal(await accounts.findByUsername(username), undefined, JSON.stringify(username))
      }
    })

    it('adds no name that looks like one that is there (UTS 39), and finds none by its looks', async () => {
      const looks = [
        ['scope', 'ѕсоре'],
        ['mary', 'rnary'],
        ['admin1', 'adminl'],
      ] as const
      for (const [username, other] of looks) {
        assert.equal(await accounts.add(createAccount({ username })), true)
        assert.equal(await accounts.add(createAccount({ username: other })), false, other)
        assert.equal(await accounts.findByUsername(other), undefined, other)
      }
      assert.equal(await accounts.add(createAccount({ username: 'сосо' })), true)
      assert.equal(await accounts.add(createAccount({ username: 'coco' })), false)
    })

    it('lets one of two simultaneous additions of names that look alike win', async () => {
      const rivals = ['admin1', 'adminl'].map((username) => createAccount({ username }))
      const answers = await Promise.all(rivals.map((account) => accounts.add(account)))
      assert.deepEqual(answers.toSorted(), [false, true])
      assert.equal((await accounts.list()).length, 1)
    })

    it('treats a user name as text, not as a pattern or a query', async () => {
      await accounts.add(createAccount({ username: 'ada' }))
      for (const username of ['a%', 'a_a', '%', "ada' OR '1'='1"])
        assert.equal(await accounts.findByUsername(username), undefined, username)
    })

    it('replaces an account, and says so when there is none to replace', async () => {
      const ada = createAccount()
      const claims = { name: 'Ada', nickname: 'the countess' }
      const changed = { ...ada, claims, isDisabled: true, updatedAt: 1 }
      assert.equal(await replaceAccount(accounts, ada), undefined)
      await accounts.add(ada)
      assert.deepEqual(await replaceAccount(accounts, changed), changed)
      assert.deepEqual(await accounts.findById(ada.id), changed)
    })

    it('accepts an update that changes nothing', async () => {
      const ada = createAccount()
      await accounts.add(ada)
      assert.deepEqual(await replaceAccount(accounts, ada), ada)
    })

    it('changes nothing where the one who decides finds that it should not', async () => {
      const ada = createAccount({ isDisabled: true })
      await accounts.add(ada)
      const changed = await accounts.change(ada.id, ({ isDisabled }) =>
        isDisabled ? undefined : { passwordHash: 'another' },
      )
      assert.equal(changed, undefined)
      assert.deepEqual(await accounts.findById(ada.id), ada)
    })

    it('loses none of many changes at once', async () => {
      const ada = createAccount({ updatedAt: 0 })
      await accounts.add(ada)
      const count = () => accounts.change(ada.id, ({ updatedAt }) => ({ updatedAt: updatedAt + 1 }))
      await Promise.all([
        ...Array.from({ length: RIVALS }, count),
        ...['name', 'locale', 'zoneinfo'].map((name) =>
          accounts.change(ada.id, ({ claims }) => ({ claims: { ...claims, [name]: name } })),
        ),
        accounts.change(ada.id, () => ({ isAdministrator: true })),
      ])
      const claims = { name: 'name', locale: 'locale', zoneinfo: 'zoneinfo' }
      const changed = { claims, isAdministrator: true, updatedAt: RIVALS }
      assert.deepEqual(await accounts.findById(ada.id), { ...ada, ...changed })
    })

    it('leaves an account disabled that is disabled while its owner chooses a password', async () => {
      for (let round = 0; round < RIVALS; round += 1) {
        const ada = createAccount({ username: `ada ${round}` })
        await accounts.add(ada)
        const passwordHash = `chosen ${round}`
        await Promise.all([
          accounts.change(ada.id, ({ isDisabled }) =>
            isDisabled ? undefined : { passwordHash, mustChangePassword: false },
          ),
          accounts.change(ada.id, () => ({ isDisabled: true })),
        ])
        assert.equal((await accounts.findById(ada.id))?.isDisabled, true)
      }
    })

    it('removes an account once, which frees its user name', async () => {
      const ada = createAccount()
      await accounts.add(ada)
      assert.equal(await accounts.remove(ada.id), true)
      assert.equal(await accounts.remove(ada.id), false)
      assert.equal(await accounts.findById(ada.id), undefined)
      assert.equal(await accounts.add(createAccount()), true)
    })

    it('lists accounts in order of user name, without regard to case', async () => {
      for (const username of ['carol', 'Bob', 'alice'])
        await accounts.add(createAccount({ username }))
      const usernames = (await accounts.list()).map((account) => account.username.toLowerCase())
      assert.deepEqual(usernames, ['alice', 'bob', 'carol'])
    })
  })
}
