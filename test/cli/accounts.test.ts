import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createPasswords } from '../../src/accounts/password.ts'
import { keyturnIn } from './keyturn.ts'

interface Shown {
  readonly id: string
  readonly username: string
  readonly isDisabled: boolean
  readonly mustChangePassword: boolean
  readonly claims: Readonly<Record<string, unknown>>
  readonly oneTimePassword?: string
}

describe('accounts', () => {
  it('add and passwd show a one-time password; list shows none', async () => {
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
    assert.match(again.err, /An account ada exists already/)
    assert.equal(unknown.status, 1)
    assert.match(unknown.err, /There is no account nobody/)
  })

  it('disable ends sessions, enable allows sign-ins again, remove deletes the account', async () => {
    await using cli = await keyturnIn()
    const { id } = await cli.json<Shown>(['accounts', 'add', 'ada'])
    await cli.withStores(async ({ artifacts }) => {
      const adapter = artifacts.adapter('Session')
      await adapter.upsert('hers', { accountId: id, uid: 'u1' }, 600)
      await adapter.upsert('his', { accountId: 'somebody else', uid: 'u2' }, 600)
      const disabled = await cli.run(['accounts', 'disable', 'ada'])
      assert.equal(disabled.status, 0)
      assert.match(disabled.err, /No enabled account is an administrator/)
      assert.equal(await adapter.find('hers'), undefined)
      assert.ok(await adapter.find('his'))
    })
    const [row] = await cli.json<Shown[]>(['accounts', 'list'])
    assert.equal(row?.isDisabled, true)
    assert.equal((await cli.json<Shown>(['accounts', 'enable', 'ada'])).isDisabled, false)
    await cli.json(['accounts', 'remove', 'ada'])
    assert.deepEqual(await cli.json(['accounts', 'list']), [])
  })

  it('remove and passwd can be repeated if Redis, which has the sessions, cannot be reached', async () => {
    // Nobody listens on port 1.
    await using cli = await keyturnIn({ KEYTURN_REDIS__URL: 'redis://127.0.0.1:1' })
    await cli.json(['accounts', 'add', 'ada'])
    const removed = await cli.run(['accounts', 'remove', 'ada'])
    assert.equal(removed.status, 1)
    assert.match(removed.err, /some sessions and tokens of ada may still be valid/)
    // The password has changed already, so the new password must be shown.
    const renewed = await cli.run(['accounts', 'passwd', 'ada'])
    assert.equal(renewed.status, 1)
    assert.match(renewed.out, /^Password (\w{5}-){3}\w{5}$/m)
    const [row] = await cli.json<Shown[]>(['accounts', 'list'])
    assert.equal(row?.isDisabled, true)
  })

  it('add and set take claims, show prints them, and unknown claims stay absent', async () => {
    await using cli = await keyturnIn()
    const shown = () => cli.json<Shown>(['accounts', 'show', 'ada'])
    const args = ['--name', 'Ada', '--email', 'ada@example.com', '--claim', 'birthdate=1815-12-10']
    await cli.json(['accounts', 'add', 'ada', ...args])
    const added = { name: 'Ada', email: 'ada@example.com', birthdate: '1815-12-10' }
    assert.deepEqual((await shown()).claims, added)

    const set = (...more: string[]) => cli.json<Shown>(['accounts', 'set', 'ADA', ...more])
    await set('--email-verified', '--claim', 'address={"locality":"London"}')
    const { updated_at, ...claims } = (await shown()).claims
    assert.deepEqual(claims, { ...added, email_verified: true, address: { locality: 'London' } })
    assert.ok(Math.abs(Number(updated_at) - Date.now() / 1000) < 60)
    const another = await set('--email', 'countess@example.com', '--remove', 'birthdate')
    const { updated_at: _, ...left } = another.claims
    assert.deepEqual(left, {
      name: 'Ada',
      email: 'countess@example.com',
      address: { locality: 'London' },
    })
    const text = await cli.run(['accounts', 'show', 'ada'])
    assert.match(text.out, /^email +countess@example\.com$/m)
    assert.match(text.out, /^address +\{"locality":"London"\}$/m)
    assert.doesNotMatch(text.out, /argon2|verified/)
  })

  it('set refuses unknown claims and wrong types, lists all problems, and changes nothing', async () => {
    await using cli = await keyturnIn()
    await cli.json(['accounts', 'add', 'ada', '--email', 'ada@example.com'])
    const refused = async (...args: string[]) => {
      const { status, err } = await cli.run(['accounts', 'set', 'ada', ...args])
      assert.notEqual(status, 0, args.join(' '))
      return err
    }
    const both = await refused('--claim', 'zoneinfo=paris', '--claim', 'shoesize=7')
    assert.match(both, /There is no claim shoesize/)
    assert.match(both, /The claim zoneinfo must be a time zone/)
    const twice = await refused('--name', 'Ada', '--claim', 'name=Countess')
    assert.match(twice, /The claim name is set twice/)
    const neither = await refused('--email', 'a@b.example', '--remove', 'email')
    assert.match(neither, /The claim email is both set and removed/)
    assert.match(await refused('--claim', 'sub=root'), /The claim sub cannot be set/)
    assert.match(
      await refused('--claim', 'preferred_username=root'),
      /the user name of the account/,
    )
    assert.match(await refused('--claim', 'address=London'), /a JSON object/)
    assert.match(await refused('--claim', 'email_verified=yes'), /true or false/)
    assert.match(await refused('--claim', 'nickname'), /NAME=VALUE/)
    assert.match(await refused('--claim', 'locale=en', '--claim', 'locale=fr'), /set twice/)
    assert.match(await refused('--remove', 'nickname'), /Account ada has no claim nickname/)
    assert.match(await refused('--remove', 'email', '--email-verified'), /set email too/)
    assert.match(await refused(), /there is nothing to change/)
    const unknown = await cli.run(['accounts', 'set', 'eve', '--name', 'Eve'])
    assert.match(unknown.err, /There is no account eve/)
    const { claims } = await cli.json<Shown>(['accounts', 'show', 'ada'])
    assert.deepEqual(claims, { email: 'ada@example.com' })
    const advised = await cli.run(['accounts', 'set', 'ada', '--claim', 'phone_number=0604 555'])
    assert.equal(advised.status, 0)
    assert.match(advised.err, /E\.164/)
  })

  it('can have the claims that the configuration lists under a scope', async () => {
    await using cli = await keyturnIn({ KEYTURN_CLAIMS__PROFILE: '[name, groups]' })
    const args = ['accounts', 'add', 'ada', '--claim', 'groups=["staff","admins"]']
    const { claims } = await cli.json<Shown>(args)
    assert.deepEqual(claims, { groups: ['staff', 'admins'] })
  })

  it('unlock and passwd change updatedAt, by which servers notice them', async () => {
    await using cli = await keyturnIn()
    await cli.json(['accounts', 'add', 'ada'])
    const changedAt = async () =>
      (await cli.withStores(({ accounts }) => accounts.findByUsername('ada')))?.updatedAt ?? 0
    let before = await changedAt()
    for (const command of ['unlock', 'unlock', 'passwd', 'unlock']) {
      await cli.json(['accounts', command, 'ADA'])
      const after = await changedAt()
      assert.ok(after > before, command)
      before = after
    }
    const { err, status } = await cli.run(['accounts', 'unlock', 'nobody'])
    assert.equal(status, 1)
    assert.match(err, /There is no account nobody/)
  })

  it('add refuses user names that are invalid or look like another one', async () => {
    await using cli = await keyturnIn()
    await cli.json(['accounts', 'add', 'josé'])
    await cli.json(['accounts', 'add', 'scope'])
    const refused = async (name: string) => {
      const { status, err } = await cli.run(['accounts', 'add', name])
      assert.notEqual(status, 0, name)
      return err
    }
    assert.match(await refused('jose\u0301'), /An account josé exists already/)
    assert.match(await refused('ＪＯＳÉ'), /An account josé exists already/)
    assert.match(await refused('ѕсоре'), /looks like scope, which is taken/)
    assert.match(await refused('jоsé'), /one script/)
    assert.match(await refused('jo\u200bsé'), /U\+200B/)
    const shown = await cli.json<Shown>(['accounts', 'show', 'JOSE\u0301'])
    assert.equal(shown.username, 'josé')
  })

  it('import adds accounts with their claims and password hashes', async () => {
    await using cli = await keyturnIn()
    const passwords = createPasswords({ memoryKiB: 64, passes: 1, parallelism: 1 })
    const passwordHash = await passwords.hash('a password from elsewhere')
    const claims = { email: 'ada@example.com', email_verified: true }
    const people = [
      { username: 'Ada', claims, passwordHash, isAdministrator: true },
      { username: 'bob' },
      { username: 'eve', isDisabled: true },
    ]
    const lines = people.map((each) => JSON.stringify(each)).join('\n')
    const answer = await cli.run(['accounts', 'import', '-'], `\ufeff${lines}\n\n`)
    assert.equal(answer.status, 0, answer.err)
    const added = answer.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    assert.deepEqual(
      added.map(({ username, oneTimePassword }) => [username, typeof oneTimePassword]),
      [
        ['ada', 'undefined'],
        ['bob', 'string'],
        ['eve', 'string'],
      ],
    )
    const [ada, bob, eve] = await cli.json<Shown[]>(['accounts', 'list'])
    assert.deepEqual(ada?.claims, claims)
    assert.deepEqual([ada?.mustChangePassword, bob?.mustChangePassword], [false, true])
    assert.equal(eve?.isDisabled, true)
    const stored = await cli.withStores(({ accounts }) => accounts.findByUsername('ada'))
    assert.equal(stored?.passwordHash, passwordHash)
    const again = await cli.run(['accounts', 'import', '-'], `${lines}\n{"username":"zoe"}`)
    assert.equal(again.status, 1)
    assert.match(again.err, /An account ada exists already\.\n.*bob exists already/s)
    assert.match(again.out, /"zoe"/)
  })

  it('import of nobody is refused, because the file was meant to have somebody', async () => {
    await using cli = await keyturnIn()
    for (const nothing of ['', '\n\n', '\ufeff']) {
      const { status, err } = await cli.run(['accounts', 'import', '-'], nothing)
      assert.equal(status, 1)
      assert.match(err, /^There is no account in it\.\nThe format of lines: /)
    }
  })

  it('import adds nobody if a line is wrong, and names line and problem', async () => {
    await using cli = await keyturnIn()
    const lines = [
      '{"username":"good"}',
      'not JSON',
      '{"username":"аda"}',
      '{"username":"GOOD"}',
      '{"username":"a","claims":{"email_verified":"true","shoesize":7}}',
      '{"username":"b","passwordHash":"$2b$10$abcdefghijklmnopqrstuv"}',
      '{"username":"c","passwordHash":"$argon2id$v=19$m=99999999,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA"}',
      '{"username":"d","password":"in clear"}',
      '[]',
      '{"username":"e","username":"f"}',
      '{"username":"g","claims":{"__proto__":"x"}}',
      '{"username":"h","toString":1}',
      '{"username":"g00d"}',
      '{"username":"Ren\ufffd"}',
      '{"isDisabled":"no"}',
      '{"username":"goocl1"}',
      '{"username":"goocll"}',
    ]
    const { status, err, out } = await cli.run(['accounts', 'import', '-'], lines.join('\n'))
    assert.equal(status, 1)
    assert.equal(out, '')
    for (const told of [
      /Line 2: it is not valid JSON/,
      /Line 3: The user name must be text of one script/,
      /Line 4: its user name is that of line 1/,
      /Line 5: There is no claim shoesize/,
      /Line 5: The claim email_verified must be true or false/,
      /Line 6: passwordHash: it must be an Argon2id PHC string/,
      /Line 7: passwordHash/,
      /Line 8: .*password/,
      /Line 9: it must be a JSON object\./,
      /Line 10: a property occurs twice in one object\./,
      /Line 11: no property may be named __proto__\./,
      /Line 12: an account has no property toString\./,
      /Line 14: it is not UTF-8 text/,
      /Line 15: username: it must be text\.\nLine 15: isDisabled: it must be true or false\./,
      /Line 17: its user name looks like that of line 16\./,
    ]) {
      assert.match(err, told)
    }
    assert.doesNotMatch(err, /in clear|Line 13/)
    assert.deepEqual(await cli.json(['accounts', 'list']), [])
  })
})
