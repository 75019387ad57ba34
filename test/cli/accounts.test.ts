import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createPasswords } from '../../src/accounts/password.ts'
import { systemClock } from '../../src/clock.ts'
import { openSqliteArtifacts } from '../../src/store/sqlite-artifacts.ts'
import { testAuthentic } from '../support/authentic.ts'
import { keyturnIn } from './keyturn.ts'

interface Shown {
  readonly id: string
  readonly username: string
  readonly isDisabled: boolean
  readonly mustChangePassword: boolean
  readonly oneTimePassword?: string
}

describe('accounts', () => {
  it('add and passwd show a password for one sign-in; list shows none', async () => {
    await using cli = await keyturnIn()
    const args = ['accounts', 'add', 'Ada', '--email', 'ada@example.com', '--administrator']
    const added = await cli.json<Shown>(args)
    const renewed = await cli.json<Shown>(['accounts', 'passwd', 'ADA'])
    assert.match(added.oneTimePassword ?? '', /^(\w{5}-){3}\w{5}$/)
    assert.notEqual(renewed.oneTimePassword, added.oneTimePassword)

    const stored = await cli.withStores(({ accounts }) => accounts.findByUsername('ada'))
    const { verify } = createPasswords(cli.config.password.argon2)
    assert.equal(await verify(renewed.oneTimePassword ?? '', stored?.passwordHash ?? ''), true)
    assert.equal(stored?.mustChangePassword, true)

    const [list, again, unknown] = await Promise.all([
      cli.run(['accounts', 'list', '--json']),
      cli.run(args),
      cli.run(['accounts', 'passwd', 'nobody']),
    ])
    assert.deepEqual(
      JSON.parse(list.out).map((row: Shown) => row.username),
      ['ada'],
    )
    assert.doesNotMatch(list.out, /argon2|[pP]asswordHash|oneTimePassword/)
    assert.equal(again.status, 1)
    assert.match(again.err, /There is an account ada already/)
    assert.equal(unknown.status, 1)
    assert.match(unknown.err, /There is no account nobody/)
  })

  it('disable signs a person out, enable lets them back, remove forgets them', async () => {
    await using cli = await keyturnIn()
    const { id } = await cli.json<Shown>(['accounts', 'add', 'ada'])
    const artifacts = openSqliteArtifacts(cli.config.database, testAuthentic(), systemClock)
    try {
      const adapter = artifacts.adapter('Session')
      await adapter.upsert('hers', { accountId: id, uid: 'u1' }, 600)
      await adapter.upsert('his', { accountId: 'somebody else', uid: 'u2' }, 600)
      const disabled = await cli.run(['accounts', 'disable', 'ada'])
      assert.equal(disabled.status, 0)
      assert.match(disabled.err, /No enabled account is an administrator/)
      assert.equal(await adapter.find('hers'), undefined)
      assert.ok(await adapter.find('his'))
    } finally {
      await artifacts.close()
    }
    const [row] = await cli.json<Shown[]>(['accounts', 'list'])
    assert.equal(row?.isDisabled, true)
    assert.equal((await cli.json<Shown>(['accounts', 'enable', 'ada'])).isDisabled, false)
    await cli.json(['accounts', 'remove', 'ada'])
    assert.deepEqual(await cli.json(['accounts', 'list']), [])
  })

  it('remove and passwd lose nothing where Redis, which has the sessions, cannot be reached', async () => {
    // Nobody listens on port 1.
    await using cli = await keyturnIn({ KEYTURN_REDIS__URL: 'redis://127.0.0.1:1' })
    await cli.json(['accounts', 'add', 'ada'])
    const removed = await cli.run(['accounts', 'remove', 'ada'])
    assert.equal(removed.status, 1)
    assert.match(removed.err, /not all sessions and tokens of ada were ended/)
    // The password is another one by then, so somebody must know it.
    const renewed = await cli.run(['accounts', 'passwd', 'ada'])
    assert.equal(renewed.status, 1)
    assert.match(renewed.out, /^Password (\w{5}-){3}\w{5}$/m)
    const [row] = await cli.json<Shown[]>(['accounts', 'list'])
    assert.equal(row?.isDisabled, true)
  })
})
