import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { keyturnIn } from './keyturn.ts'

const BEFORE = ['keys', 'revoke', '--ring', 'sig/ES256', '--created-before']

describe('wrong usage', () => {
  const wrong: readonly [string, readonly string[], RegExp?][] = [
    ['an unknown command', ['turn']],
    ['an unknown command of a group', ['keys', 'turn']],
    ['a missing argument', ['keys', 'rotate']],
    ['a group without a command', ['keys']],
    ['an unknown option', ['keys', 'list', '--yaml']],
    ['a duration that is none', ['keys', 'plan', '--until', 'soon']],
    ['an instant that is none', ['keys', 'revoke', '--ring', 'x', '--created-before', 'monday']],
    ['a day that no month has', [...BEFORE, '2026-02-30T00:00:00Z'], /February 2026 has 28 days/],
    ['an hour that no day has', [...BEFORE, '2026-11-22T24:00:00Z'], /there is no hour 24/],
    ['an instant without offset', [...BEFORE, '2026-11-22T10:00:00'], /its offset from UTC/],
    ['a time beyond every calendar', [...BEFORE, '999999999w'], /It must be an instant/],
    ['a duration beyond every calendar', ['keys', 'plan', '--until', '999999999w'], /to 36500d/],
    ['a revocation of nothing', ['keys', 'revoke']],
    ['a revocation by date without its ring', ['keys', 'revoke', '--created-before', 'now']],
    ['a model that is none', ['simulate', '--model', 'jose']],
    ['a user name that looks like another', ['accounts', 'add', 'ad\u200bmin'], /Write admin/],
    ['a name with a control character', ['accounts', 'add', 'a', '--name', 'A\u0007'], /Write A /],
    ['a reason that nobody can read', ['keys', 'rotate', 'x', '--reason', 'a\u001b[2J'], /U\+001B/],
    ['an unreadable reason for people', ['accounts', 'unlock', 'a', '--reason', 'a\u0007']],
    ['an unreadable actor for clients', ['clients', 'remove', 'a', '--actor', '']],
    ['an actor with blanks around it', ['keys', 'rotate', 'x', '--actor', ' ada'], /Write ada /],
    ['a ring with a blank behind it', ['keys', 'rotate', 'sig/ES256 '], /Write sig\/ES256 /],
    ['a user name with a line break', ['accounts', 'add', 'a\nb']],
    ['two ways to authenticate', ['clients', 'add', '--public', '--auth-method=private_key_jwt']],
    ['an overlap to end and to begin', ['clients', 'secret', 'a', '--end-overlap', '--overlap=3h']],
    ['a secret without use', ['clients', 'secret', 'a', '--end-overlap', '--secret-stdin']],
    ['two things from standard input', ['clients', 'add', '--secret-stdin', '--file', '-']],
  ]

  it('ends with status 2, an error on standard error and no answer', async () => {
    await using cli = await keyturnIn()
    const answers = await Promise.all(wrong.map(([, args]) => cli.run(args)))
    for (const [index, { status, out, err }] of answers.entries()) {
      const [situation, , reason = /error: |Usage: /] = wrong[index] ?? []
      assert.equal(status, 2, `${situation}: ${err}`)
      assert.equal(out, '', situation)
      assert.match(err, /error: |Usage: /, situation)
      assert.match(err, reason, situation)
      assert.doesNotMatch(err, /\.ts:\d/, `${situation}: a stack trace`)
    }
  })

  it('has another exit status of the process than success and failure', async () => {
    await using cli = await keyturnIn()
    const [done, failed, wrong] = await Promise.all([
      cli.spawned(['keys', 'list', '--json']),
      cli.spawned(['keys', 'show', 'nothing']),
      cli.spawned(['keys', 'turn']),
    ])
    assert.deepEqual(done, { status: 0, out: '[]\n', err: '' })
    assert.equal(failed.status, 1)
    assert.equal(failed.err, 'There is no key nothing. See: keyturn keys list\n')
    assert.equal(wrong.status, 2)
    assert.match(wrong.err, /unknown command 'turn'/)
  })

  it('does not include --help', async () => {
    await using cli = await keyturnIn()
    const [all, one] = await Promise.all([cli.run(['--help']), cli.run(['help', 'keys'])])
    assert.equal(all.status, 0)
    for (const group of ['serve', 'keys', 'config', 'simulate', 'clients', 'accounts', 'db']) {
      assert.match(all.out, new RegExp(`^  ${group} `, 'm'))
    }
    assert.equal(one.status, 0)
    assert.match(one.out, /rotate/)
  })
})
