import assert from 'node:assert/strict'
import { userInfo } from 'node:os'
import { describe, it } from 'node:test'
import { createGate } from '../../src/accounts/gate.ts'
import { addFirstAdministrator } from '../../src/accounts/new-account.ts'
import { createPasswords } from '../../src/accounts/password.ts'
import { createPasswordChanges } from '../../src/accounts/password-changes.ts'
import { systemClock } from '../../src/clock.ts'
import { openDatabase } from '../../src/database/database.ts'
import { auditSchema } from '../../src/database/tables.ts'
import { keyturnIn } from './keyturn.ts'

interface Event {
  readonly at: string
  readonly actor: string
  readonly reason: string
  readonly action: string
  readonly subject: { readonly id: string; readonly username?: string }
  readonly changed: readonly string[]
  readonly number: number
  readonly isForged: boolean
}

const ORDER = ['--actor', 'grace', '--reason', 'ticket 7']
const URI = ['--redirect-uri', 'https://shop.example/callback']

/** What an operator with write access to the database does. */
async function tamper(
  { config }: Awaited<ReturnType<typeof keyturnIn>>,
  number: number,
  changes?: object,
): Promise<void> {
  const dataSource = await openDatabase(config.database)
  const rows = dataSource.getRepository(auditSchema)
  await (changes ? rows.update({ number }, changes) : rows.delete({ number }))
  await dataSource.destroy()
}

describe('accounts events', () => {
  it('lists what every command did to an account, who ordered it and why', async () => {
    await using cli = await keyturnIn()
    const { id } = await cli.json<{ id: string }>([
      ...['accounts', 'add', 'Ada', '--email', 'ada@example.com', '--administrator'],
      ...ORDER,
    ])
    const orders = [
      ['set', 'ada', '--email', 'ada@example.org', '--claim', 'birthdate=1815-12-10'],
      ['set', 'ada', '--remove', 'birthdate'],
      ...['passwd', 'disable', 'enable', 'unlock', 'remove'].map((order) => [order, 'ada']),
    ]
    for (const order of orders) await cli.json(['accounts', ...order, ...ORDER])
    const events = await cli.json<Event[]>(['accounts', 'events'])
    assert.deepEqual(
      events.map(({ number, action, changed }) => [number, action, changed]),
      [
        [1, 'account_added', ['email', 'isAdministrator']],
        [2, 'account_claims_set', ['email', 'birthdate']],
        [3, 'account_claims_set', ['birthdate']],
        [4, 'account_password_renewed', []],
        [5, 'account_disabled', ['isDisabled']],
        [6, 'account_enabled', ['isDisabled']],
        [7, 'account_unlocked', []],
        // Removal disables first, so that nothing can be issued meanwhile.
        [8, 'account_disabled', ['isDisabled']],
        [9, 'account_removed', []],
      ],
    )
    for (const { at, actor, reason, subject, isForged } of events) {
      assert.match(at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
      assert.deepEqual([actor, reason], ['grace', 'ticket 7'])
      assert.deepEqual([subject, isForged], [{ id, username: 'ada' }, false])
    }
  })

  it('are of one user name where it is given, and the system user is the actor unless told', async () => {
    await using cli = await keyturnIn()
    const people =
      '{"username":"ada"}\n{"username":"eve","isDisabled":true,"claims":{"name":"Eve"}}\n'
    const imported = await cli.run(['accounts', 'import', '-', '--reason', 'moved in'], people)
    assert.equal(imported.status, 0)
    await cli.run(['accounts', 'unlock', 'eve'])
    const [nobody, ofEve, last] = await Promise.all([
      cli.run(['accounts', 'events', 'bob']),
      cli.json<Event[]>(['accounts', 'events', 'EVE']),
      cli.json<Event[]>(['accounts', 'events', '--last', '1']),
    ])
    assert.deepEqual([nobody.status, nobody.out], [0, 'No such event has been recorded yet.\n'])
    assert.deepEqual(
      ofEve.map(({ action, actor, reason, changed }) => [action, actor, reason, changed]),
      [
        ['account_added', userInfo().username, 'moved in', ['name', 'isDisabled']],
        ['account_unlocked', userInfo().username, 'not given', []],
      ],
    )
    assert.deepEqual(
      last.map(({ action }) => action),
      ['account_unlocked'],
    )
  })

  it('name the server for the first administrator, and people who replace a one-time password', async () => {
    await using cli = await keyturnIn()
    await cli.withStores(async ({ accounts }) => {
      const passwords = createPasswords(cli.config.password.argon2)
      const common = { accounts, passwords, clock: systemClock }
      const made = await addFirstAdministrator('chief', common)
      assert.ok(made)
      const gate = createGate({ atOnce: 1, waiting: 1 })
      const changes = createPasswordChanges({ ...common, gate, minimumLength: 8 })
      const { outcome } = await changes.change(made.account, 'a quite different password')
      assert.equal(outcome, 'changed')
    })
    const events = await cli.json<Event[]>(['accounts', 'events', 'chief'])
    assert.deepEqual(
      events.map(({ action, actor, reason }) => [action, actor, reason]),
      [
        ['account_added', 'server', 'first start'],
        ['account_password_chosen', 'chief', 'chosen at a sign-in'],
      ],
    )
  })

  it('that somebody else changed or deleted are told', async () => {
    await using cli = await keyturnIn()
    for (const name of ['ada', 'eve', 'bob']) await cli.run(['accounts', 'add', name, ...ORDER])
    await tamper(cli, 2, { actor: 'mallory\u001b[2J' })
    const { out, err, status } = await cli.run(['accounts', 'events', 'bob'])
    assert.equal(status, 0)
    assert.match(err, /^1 event failed the check, because somebody else wrote or changed it\./)
    const [head = '', ...lines] = out.trimEnd().split('\n')
    assert.match(head, /^NUMBER +AT +ACCOUNT +EVENT +BY +REASON$/)
    assert.match(lines[0] ?? '', /^2 .* eve +FORGED added +mallory\?\[2J +ticket 7$/)
    assert.match(lines[1] ?? '', /^3 .* bob +added +grace +ticket 7$/)
    assert.equal(lines.length, 2)

    await tamper(cli, 1)
    await tamper(cli, 2)
    const gap = await cli.run(['accounts', 'events', '--json'])
    assert.equal(gap.err, 'Somebody deleted events: numbers 1 to 2.\n')
    assert.deepEqual(
      JSON.parse(gap.out).map(({ number }: Event) => number),
      [3],
    )
  })
})

describe('clients events', () => {
  it('lists what every command and the configuration did to a client, without secrets', async () => {
    await using cli = await keyturnIn()
    const orders = [
      ['add', '--id', 'shop', '--name', 'Shop', ...URI],
      ['update', 'shop', '--name', 'The shop'],
      ['secret', 'shop'],
      ['secret', 'shop', '--end-overlap'],
      ['remove', 'shop'],
    ]
    const secrets: string[] = []
    for (const order of orders) {
      const answer = await cli.json<{ client_secret?: string }>(['clients', ...order, ...ORDER])
      if (answer.client_secret !== undefined) secrets.push(answer.client_secret)
    }
    await cli.withStores(({ clients }) => clients.replaceConfigured([{ client_id: 'job' }]))
    const events = await cli.json<Event[]>(['clients', 'events'])
    assert.deepEqual(
      events.map(({ number, action, subject, changed }) => [
        ...[number, action, subject, [...changed].sort()],
      ]),
      [
        [1, 'client_added', { id: 'shop' }, ['client_name', 'client_secret', 'redirect_uris']],
        [2, 'client_updated', { id: 'shop' }, ['client_name']],
        [3, 'client_secret_renewed', { id: 'shop' }, ['client_secret']],
        [4, 'client_secrets_ended', { id: 'shop' }, []],
        [5, 'client_removed', { id: 'shop' }, []],
        [6, 'client_added', { id: 'job' }, []],
      ],
    )
    assert.deepEqual(
      events.map(({ actor, reason }) => `${actor}: ${reason}`),
      [...Array(5).fill('grace: ticket 7'), 'configuration: start of a server'],
    )
    assert.equal(secrets.length, 2)
    for (const secret of secrets) assert.ok(!JSON.stringify(events).includes(secret))
    const ofJob = await cli.json<Event[]>(['clients', 'events', 'job'])
    assert.deepEqual(
      ofJob.map(({ number }) => number),
      [6],
    )
    const { out } = await cli.run(['clients', 'events', 'shop'])
    assert.match(out, /^2 .* shop +updated: client_name +grace +ticket 7$/m)
  })

  it('has no event of an update that is refused for want of a change', async () => {
    await using cli = await keyturnIn()
    await cli.json(['clients', 'add', '--id', 'shop', ...URI])
    const nothing = await cli.run(['clients', 'update', 'shop', ...ORDER])
    assert.equal(nothing.status, 2)
    assert.match(nothing.err, /name at least one change/)
    const same = await cli.run(['clients', 'update', 'shop', ...URI, ...ORDER])
    assert.equal(same.out, 'Client shop stays unchanged.\n')
    const events = await cli.json<Event[]>(['clients', 'events'])
    assert.deepEqual(
      events.map(({ action }) => action),
      ['client_added'],
    )
  })
})
