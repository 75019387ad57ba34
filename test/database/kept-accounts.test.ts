import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { keepWhileUnchanged } from '../../src/database/keep-while-unchanged.ts'
import { createSqlAccounts, createSqlConsents } from '../../src/database/sql-accounts.ts'
import { openArtifacts } from '../../src/server/open-artifacts.ts'
import { testAuthentic } from '../support/authentic.ts'
import { DATABASES, openMigrated, settingsOf } from '../support/databases.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { createAccount } from '../support/memory-accounts.ts'

for (const database of DATABASES) {
  describe(`people that a server keeps on ${database.name}`, { skip: database.skip }, () => {
    it('are read as changed or removed at once, whoever changed them', async () => {
      await using empty = await database.create()
      await using here = await openMigrated(empty)
      await using elsewhere = await openMigrated(empty)
      await using stack = new AsyncDisposableStack()
      const clock = createFakeClock()
      const place = await openArtifacts({ database: settingsOf(empty) }, { clock })
      stack.defer(() => place.close())
      const authentic = testAuthentic()
      const session = place.of(authentic).adapter('Session')
      const server = createSqlAccounts(here.dataSource, authentic, place)
      const command = createSqlAccounts(elsewhere.dataSource, testAuthentic())
      const ada = createAccount({ username: 'ada' })
      await server.add(ada)
      for (const writer of [server, command]) {
        for (const isDisabled of [true, false]) {
          // The store of sessions reads in a transaction, which lasts until the end of the turn.
          await Promise.all([session.find('unknown'), server.findById(ada.id)])
          await writer.change(ada.id, () => ({ isDisabled }))
          assert.equal((await server.findById(ada.id))?.isDisabled, isDisabled)
          assert.equal((await server.findByUsername('Ada'))?.isDisabled, isDisabled)
        }
      }
      const consents = createSqlConsents(here.dataSource, authentic, place)
      const consent = { oidcClaims: [], resourceScopes: {}, updatedAt: 1 }
      for (const oidcScopes of [['openid'], ['openid', 'email']]) {
        await createSqlConsents(elsewhere.dataSource, testAuthentic()).change(
          ada.id,
          'web',
          () => ({
            ...consent,
            oidcScopes,
          }),
        )
        assert.deepEqual((await consents.find(ada.id, 'web'))?.oidcScopes, oidcScopes)
      }
      await command.remove(ada.id)
      assert.equal(await server.findById(ada.id), undefined)
      assert.equal(await server.findByUsername('Ada'), undefined)
      assert.equal(await consents.find(ada.id, 'web'), undefined)
    })
  })
}

describe('what is kept while nothing changes', () => {
  it('is read once for each version', async () => {
    let version = 1
    const reads: string[] = []
    const find = keepWhileUnchanged(
      async (id) => {
        reads.push(id)
        return `${id} of ${version}`
      },
      () => version,
    )
    assert.deepEqual(
      [await find('a'), await find('a'), await find('b')],
      ['a of 1', 'a of 1', 'b of 1'],
    )
    version = 2
    assert.deepEqual([await find('a'), await find('a')], ['a of 2', 'a of 2'])
    assert.deepEqual(reads, ['a', 'b', 'a'])
  })

  it('has nothing that was read before a change and arrived after it', async () => {
    let version = 1
    const answers = [Promise.withResolvers<string>(), Promise.withResolvers<string>()]
    let asked = 0
    const find = keepWhileUnchanged(
      () => (answers[asked++] as PromiseWithResolvers<string>).promise,
      () => version,
    )
    const early = find('a')
    version = 2
    const late = find('a')
    answers[1]?.resolve('new')
    assert.equal(await late, 'new')
    answers[0]?.resolve('old')
    assert.equal(await early, 'old')
    assert.equal(await find('a'), 'new')
    assert.equal(asked, 2)
  })

  it('does not contain what was not found', async () => {
    let asked = 0
    const find = keepWhileUnchanged(
      async () => (asked++ === 0 ? undefined : 'found'),
      () => 1,
    )
    assert.equal(await find('a'), undefined)
    assert.equal(await find('a'), 'found')
  })
})
