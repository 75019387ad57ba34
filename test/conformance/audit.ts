import assert from 'node:assert/strict'
import { describe } from 'node:test'
import type { Repository } from 'typeorm'
import type { AccountStore } from '../../src/accounts/account-store.ts'
import type { AuditStore } from '../../src/audit/audit-store.ts'
import { listRecords } from '../../src/audit/operate.ts'
import type { AccountAction, ClientAction, Ordered } from '../../src/audit/record.ts'
import type { ClientStore } from '../../src/clients/client-store.ts'
import type { AuditRow, Owned } from '../../src/database/tables.ts'
import { createAccount } from '../support/memory-accounts.ts'
import { testsWith } from '../support/with-opened.ts'

interface Recorded {
  readonly accounts: AccountStore
  readonly clients: ClientStore
  readonly audit: AuditStore
}

export interface AuditUnderTest extends Recorded {
  /** The same as another node sees it. */
  readonly other: Recorded
  /** Of another issuer in the same place. */
  readonly elsewhere: Recorded
  /** The records as somebody sees them who can write the database. */
  readonly rows: Repository<Owned<AuditRow>>
  /** Makes the database refuse records, until disposed. */
  readonly refuseRecords: () => Promise<AsyncDisposable>
  readonly close: () => Promise<void>
}

function by<A extends AccountAction | ClientAction>(action: A, at = 7): Ordered<A> {
  return { actor: 'bob', reason: 'she asked for it', action, at }
}

const SECRET = 'a secret of forty characters, or of more'
const everybody = () => true

/** What every store of people and clients does about records of orders. */
export function testAudit(name: string, open: () => Promise<AuditUnderTest>): void {
  const test = testsWith(open)

  describe(`AuditStore: ${name}`, () => {
    test('has a record of each ordered change, with who, why, when, what and of whom', async ({
      accounts,
      clients,
      audit,
    }) => {
      const claims = { name: 'Ada', email: 'ada@example.com', birthdate: '1815-12-10' }
      const ada = createAccount({ claims, isAdministrator: true })
      await accounts.add(ada, by('account_added', 5))
      const changes = { claims: { name: 'Ada L.', email: claims.email, updated_at: 6 } }
      await accounts.change(ada.id, () => changes, by('account_claims_set', 6))
      const passwordHash = 'another hash'
      await accounts.change(ada.id, () => ({ passwordHash }), by('account_password_renewed'))
      await clients.add({ client_id: 'shop', client_name: 'Shop' }, by('client_added'))
      const shop = { client_id: 'shop', client_secret: SECRET, scope: 'openid' }
      await clients.change('shop', () => shop, by('client_updated'))
      await clients.remove('shop', by('client_removed'))
      await accounts.remove(ada.id, by('account_removed'))

      const records = await audit.list()
      const order = { actor: 'bob', reason: 'she asked for it' }
      const subject = { id: ada.id, username: 'ada' }
      assert.deepEqual(records[0], {
        ...{ number: 1, at: 5, ...order, action: 'account_added', subject, isForged: false },
        changed: ['name', 'email', 'birthdate', 'isAdministrator'],
      })
      assert.deepEqual(
        records.map(({ number, at, action, subject: { id }, changed, isForged }) => [
          ...[number, at, action, id === ada.id ? 'ada' : id, [...changed].sort(), isForged],
        ]),
        [
          [1, 5, 'account_added', 'ada', ['birthdate', 'email', 'isAdministrator', 'name'], false],
          [2, 6, 'account_claims_set', 'ada', ['birthdate', 'name'], false],
          [3, 7, 'account_password_renewed', 'ada', [], false],
          [4, 7, 'client_added', 'shop', ['client_name'], false],
          [5, 7, 'client_updated', 'shop', ['client_name', 'client_secret', 'scope'], false],
          [6, 7, 'client_removed', 'shop', [], false],
          [7, 7, 'account_removed', 'ada', [], false],
        ],
      )
      const about = async (kind: 'account' | 'client') =>
        (await listRecords(kind, everybody, audit)).records.map(({ number }) => number)
      assert.deepEqual(
        [await about('account'), await about('client')],
        [
          [1, 2, 3, 7],
          [4, 5, 6],
        ],
      )
    })

    test('has no value of a claim or property, no hash and no secret', async ({
      accounts,
      clients,
      rows,
    }) => {
      const ada = createAccount({ claims: { name: 'Ada Lovelace', email: 'ada@example.com' } })
      await accounts.add(ada, by('account_added'))
      await clients.add({ client_id: 'short', client_secret: 'short!' }, by('client_added'))
      await clients.add({ client_id: 'long', client_secret: SECRET }, by('client_added'))
      const text = JSON.stringify(await rows.find())
      for (const value of ['Ada Lovelace', '@', 'argon2', 'short!', SECRET, 'sha256']) {
        assert.equal(text.includes(value), false, value)
      }
    })

    test('has no record of what was refused, changed nothing or was ordered by nobody', async ({
      accounts,
      clients,
      audit,
    }) => {
      const ada = createAccount()
      await accounts.add(ada)
      await clients.add({ client_id: 'shop' })
      await accounts.change(ada.id, () => ({ passwordHash: 'stronger' }))
      assert.equal(await accounts.add(createAccount(), by('account_added')), false)
      assert.equal(await clients.add({ client_id: 'shop' }, by('client_added')), false)
      await accounts.change(ada.id, () => undefined, by('account_disabled'))
      await accounts.change('nobody', () => ({}), by('account_disabled'))
      await clients.change('nobody', () => ({ client_id: 'nobody' }), by('client_updated'))
      assert.equal(await accounts.remove('nobody', by('account_removed')), false)
      assert.equal(await clients.remove('nobody', by('client_removed')), false)
      const refuse = () => {
        throw new Error('refused')
      }
      await assert.rejects(clients.change('shop', refuse, by('client_updated')))
      assert.deepEqual(await audit.list(), [])
    })

    test('keeps no change whose record cannot be written', async ({
      accounts,
      clients,
      audit,
      refuseRecords,
    }) => {
      const ada = createAccount()
      await accounts.add(ada)
      await clients.add({ client_id: 'shop' })
      {
        await using _ = await refuseRecords()
        const refused = { code: 'store_unavailable' }
        const eve = createAccount({ username: 'eve' })
        await assert.rejects(accounts.add(eve, by('account_added')), refused)
        const disable = () => ({ isDisabled: true })
        await assert.rejects(accounts.change(ada.id, disable, by('account_disabled')), refused)
        await assert.rejects(accounts.remove(ada.id, by('account_removed')), refused)
        await assert.rejects(clients.add({ client_id: 'new' }, by('client_added')), refused)
        const rename = () => ({ client_id: 'shop', client_name: 'Shop' })
        await assert.rejects(clients.change('shop', rename, by('client_updated')), refused)
        await assert.rejects(clients.remove('shop', by('client_removed')), refused)
        await assert.rejects(clients.writeConfigured([{ client_id: 'written' }]), refused)
      }
      assert.deepEqual(await accounts.list(), [ada])
      assert.deepEqual(
        (await clients.list()).map(({ metadata }) => metadata),
        [{ client_id: 'shop' }],
      )
      assert.deepEqual(await audit.list(), [])
      assert.ok(await accounts.remove(ada.id, by('account_removed')))
      assert.equal((await audit.list()).length, 1)
    })

    test('numbers what several nodes change at once, without a gap', async ({
      accounts,
      clients,
      other,
      audit,
    }) => {
      const ada = createAccount()
      await accounts.add(ada)
      const places = Array.from({ length: 12 }, (_, i) => i)
      await Promise.all(
        places.flatMap((i) => {
          const node = i % 2 ? { accounts, clients } : other
          const claims = (before: object) => ({ claims: { ...before, [`claim${i}`]: i } })
          return [
            node.accounts.change(
              ada.id,
              (current) => claims(current.claims),
              by('account_claims_set'),
            ),
            node.clients.add({ client_id: `c${i}` }, by('client_added')),
          ]
        }),
      )
      const records = await audit.list()
      assert.deepEqual(
        records.map(({ number }) => number),
        Array.from({ length: 24 }, (_, i) => i + 1),
      )
      assert.deepEqual(
        records
          .flatMap(({ action, changed }) => (action === 'account_claims_set' ? changed : []))
          .sort(),
        places.map((i) => `claim${i}`).sort(),
      )
    })

    test('names the configuration for its clients, and only when it changed', async ({
      clients,
      audit,
      other,
    }) => {
      const [shop, job] = [{ client_id: 'shop', client_secret: SECRET }, { client_id: 'job' }]
      await Promise.all([clients.writeConfigured([shop]), other.clients.writeConfigured([shop])])
      await clients.replaceConfigured([shop, job])
      await clients.replaceConfigured([{ ...shop, client_name: 'Shop' }, job])
      await clients.replaceConfigured([{ ...shop, client_name: 'Shop' }])
      const records = await audit.list()
      assert.ok(records.every(({ actor }) => actor === 'configuration'))
      assert.deepEqual(
        records.map(({ action, subject, changed }) => [action, subject.id, changed]),
        [
          ['client_added', 'shop', ['client_secret']],
          ['client_added', 'job', []],
          ['client_updated', 'shop', ['client_name']],
          ['client_removed', 'job', []],
        ],
      )
    })

    test('shows what somebody else wrote or changed as forged, in every listing', async ({
      accounts,
      clients,
      audit,
      rows,
    }) => {
      await clients.add({ client_id: 'shop' }, by('client_added'))
      const people = ['ada', 'eve', 'bob'].map((username) => createAccount({ username }))
      for (const person of people) await accounts.add(person, by('account_added'))
      const [first] = await rows.findBy({ number: 1 })
      assert.ok(first)
      await rows.update({ number: 2 }, { actor: 'mallory' })
      await rows.update({ number: 3 }, { at: Number.MAX_SAFE_INTEGER, changed: 'no JSON' })
      await rows.insert({ ...first, number: 5 })
      const listed = async (kind: 'account' | 'client', isWanted = everybody) =>
        (await listRecords(kind, isWanted, audit)).records.map(({ number, isForged }) =>
          isForged ? `${number} forged` : `${number}`,
        )
      assert.deepEqual(await listed('account'), ['2 forged', '3 forged', '4', '5 forged'])
      assert.deepEqual(await listed('client'), ['1', '2 forged', '3 forged', '5 forged'])
      assert.deepEqual(await listed('client', () => false), ['2 forged', '3 forged', '5 forged'])
      const forged = await audit.list()
      assert.doesNotThrow(() => forged.map(({ at }) => new Date(at * 1000).toISOString()))
    })

    test('numbers records after the newest genuine one, whatever numbers somebody else wrote', async ({
      clients,
      audit,
      rows,
    }) => {
      await clients.add({ client_id: 'a' }, by('client_added'))
      const [genuine] = await rows.findBy({ number: 1 })
      assert.ok(genuine)
      for (const number of [2, 3, 2 ** 31 - 1]) await rows.insert({ ...genuine, number })
      assert.ok(await clients.add({ client_id: 'b' }, by('client_added')))
      assert.ok(await clients.add({ client_id: 'c' }, by('client_added')))
      const records = await audit.list()
      assert.deepEqual(
        records.flatMap(({ number, subject, isForged }) =>
          isForged ? [] : [[number, subject.id]],
        ),
        [
          [1, 'a'],
          [4, 'b'],
          [5, 'c'],
        ],
      )
    })

    test('names the records that somebody deleted, unless they were the newest', async ({
      clients,
      audit,
      rows,
    }) => {
      for (const id of ['a', 'b', 'c', 'd', 'e']) {
        await clients.add({ client_id: id }, by('client_added'))
      }
      const missing = async () => (await listRecords('account', everybody, audit)).missing
      assert.deepEqual(await missing(), [])
      for (const number of [1, 3, 4]) await rows.delete({ number })
      assert.deepEqual(await missing(), [
        { first: 1, last: 1 },
        { first: 3, last: 4 },
      ])
    })

    test('keeps the records of issuers apart', async ({ clients, elsewhere, audit }) => {
      await clients.add({ client_id: 'a' }, by('client_added'))
      await elsewhere.clients.add({ client_id: 'b' }, by('client_added'))
      const subjects = async (of: AuditStore) =>
        (await of.list()).map(({ number, subject }) => [number, subject.id])
      assert.deepEqual(await subjects(audit), [[1, 'a']])
      assert.deepEqual(await subjects(elsewhere.audit), [[1, 'b']])
    })
  })
}
