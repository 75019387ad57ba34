import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Answer, DAY, keyturnIn } from './keyturn.ts'

/** Answers of commands to people, without --json. */

/** Lines of an answer with placeholders for everything that differs from run to run. */
function stable({ out, err }: Pick<Answer, 'out' | 'err'>): readonly string[] {
  return (
    `${out}${err}`
      .trimEnd()
      .split('\n')
      // The note of a missing witness is tested in restore.test.ts.
      .filter((line) => !line.startsWith('Note: this node has no witness'))
      .map((line) =>
        line
          .replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'UUID')
          .replace(/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, 'INSTANT')
          .replace(/\((in [^)]+|[^)]+ ago|now)\)/g, '(WHEN)')
          .replace(/\b(now|\d+ seconds? ago)$/g, 'JUST NOW')
          .replace(/(?<![\w-])[\w-]{43}(?![\w-])/g, 'KID')
          .replace(/\b([2-9a-z]{5}-){3}[2-9a-z]{5}\b/g, 'PASSWORD')
          .replace(/\b\d{10}$/g, 'SECONDS')
          .replace(/ {2,}/g, '  '),
      )
  )
}

const REMAINING =
  'No enabled account is an administrator. Add one: keyturn accounts add NAME --administrator'

describe('accounts', () => {
  it('are shown in tables and sentences, from an empty store to a removed account', async () => {
    await using cli = await keyturnIn()
    const run = async (...args: string[]) => stable(await cli.run(['accounts', ...args]))
    assert.deepEqual(await run('list'), [
      'There are no accounts yet. The first start of the server adds an administrator.',
    ])
    const name = ['--name', 'Ada Lovelace']
    assert.deepEqual(await run('add', 'Ada', '--email', 'ada@example.com', ...name), [
      'Added ada.',
      'Password PASSWORD',
      'The password is shown only this once and must be changed at the next sign-in.',
      REMAINING,
    ])
    assert.deepEqual(await run('add', 'root', '--administrator'), [
      'Added root.',
      'Password PASSWORD',
      'The password is shown only this once and must be changed at the next sign-in.',
    ])
    assert.deepEqual(await run('disable', 'ada'), ['Disabled and signed out ada.'])
    assert.deepEqual(await run('list'), [
      'USER NAME  NAME  EMAIL  ROLE  STANDING  ADDED',
      'ada  Ada Lovelace  ada@example.com  person  disabled  JUST NOW',
      'root  -  -  administrator  must change password  JUST NOW',
    ])
    assert.deepEqual(await run('enable', 'ada'), ['Enabled ada.'])
    assert.deepEqual(await run('set', 'ada', '--claim', 'nickname=countess'), ['Changed ada.'])
    assert.deepEqual(await run('show', 'ada'), [
      'user name  ada',
      'id (sub)  UUID',
      'role  person',
      'standing  must change password',
      'added  INSTANT (WHEN)',
      'changed  INSTANT (WHEN)',
      ...[
        'email  ada@example.com',
        'name  Ada Lovelace',
        'nickname  countess',
        'updated_at  SECONDS',
      ].toSorted(order(await run('show', 'ada'))),
    ])
    assert.deepEqual(await run('passwd', 'ada'), [
      'New password for ada.',
      'Password PASSWORD',
      'The password is shown only this once and must be changed at the next sign-in.',
    ])
    assert.deepEqual(await run('unlock', 'ada'), ['Unlocked ada.'])
    assert.deepEqual(await run('remove', 'ada'), ['Removed and signed out ada.'])
    assert.deepEqual(await run('remove', 'ada'), [
      'There is no account ada. See: keyturn accounts list',
    ])
    assert.deepEqual(await run('set', 'root'), [
      'No claim is given, so there is nothing to change. Name a claim, as in --email ADDRESS or --remove nickname.',
    ])
    assert.deepEqual(await run('remove', 'root'), ['Removed and signed out root.', REMAINING])
  })
})

/** Compares lines by their order in `shown`, because stores return claims in any order. */
function order(shown: readonly string[]) {
  return (a: string, b: string) => shown.indexOf(a) - shown.indexOf(b)
}

describe('clients', () => {
  it('are shown in tables and sentences, from an empty store to a removed client', async () => {
    await using cli = await keyturnIn()
    const run = async (...args: string[]) => stable(await cli.run(['clients', ...args]))
    assert.deepEqual(await run('list'), ['There are no clients. See: keyturn clients add'])
    const uri = ['--redirect-uri', 'https://app.example/cb']
    assert.deepEqual(await run('add', '--id', 'app', '--name', 'The App', ...uri), [
      'Added client app.',
      'Secret KID',
      'The secret is shown only this once.',
    ])
    assert.deepEqual(await run('add', '--id', 'spa', '--public', ...uri), ['Added client spa.'])
    assert.deepEqual(await run('list'), [
      'CLIENT  NAME  KIND  DEFINED BY  CHANGED',
      'app  The App  confidential  operator  JUST NOW',
      'spa  -  public  operator  JUST NOW',
    ])
    assert.deepEqual(await run('update', 'app', '--name', 'Another'), [
      'Changed client_name of client app.',
    ])
    assert.deepEqual(await run('update', 'app', '--name', 'Another'), [
      'Client app stays unchanged.',
    ])
    assert.deepEqual(await run('secret', 'app'), [
      'Client app has a new secret.',
      'Secret KID',
      'The secret is shown only this once.',
      'The previous secret works until INSTANT (WHEN).',
    ])
    const shown = await run('show', 'app')
    assert.deepEqual(shown.slice(0, 3), [
      'Defined by an operator, changed INSTANT.',
      'A previous secret works until INSTANT.',
      '{',
    ])
    assert.ok(shown.some((line) => line.includes('"client_secret": "***"')))
    assert.deepEqual(await run('secret', 'app', '--end-overlap'), [
      'Only the newest secret of client app works now.',
    ])
    assert.deepEqual(await run('secret', 'app', '--overlap', '0s'), [
      'Client app has a new secret.',
      'Secret KID',
      'The secret is shown only this once.',
      'The previous secret no longer works.',
    ])
    assert.deepEqual(await run('update', 'app', '--public'), [
      'Changed token_endpoint_auth_method of client app.',
      'The client no longer has a secret.',
    ])
    assert.deepEqual(await run('secret', 'app'), [
      'Client app has no secret, because its token_endpoint_auth_method is none.',
    ])
    assert.deepEqual(await run('remove', 'app'), ['Removed client app.'])
    assert.deepEqual(await run('show', 'app'), [
      'There is no client app. See: keyturn clients list',
    ])
    const message = await run('add', '--id', 'spa', '--public', ...uri)
    assert.equal(message.length, 1)
    assert.match(
      message[0] ?? '',
      /^A client spa exists already\. .* See: keyturn clients show spa\. To remove it: keyturn clients remove spa$/,
    )
  })
})

describe('keys', () => {
  it('are shown in tables and sentences by list, events, plan and rotate', async () => {
    await using cli = await keyturnIn()
    const run = async (...args: string[]) => stable(await cli.run(['keys', ...args]))
    assert.deepEqual(await run('list'), [
      'There are no keys yet. The first start of the server makes them.',
    ])
    await cli.makeRings(20 * DAY)
    assert.deepEqual(await run('list'), [
      'RING  GEN  PHASE  KID  NEXT',
      ...['sig/RS256', 'sig/ES256', 'cookie'].flatMap((ring) => [
        `${ring}  1  active  KID  retires INSTANT (WHEN)`,
        `${ring}  2  pre-active  KID  signs from INSTANT (WHEN)`,
      ]),
    ])
    assert.deepEqual(await run('events'), ['No event has been recorded yet.'])
    const plan = await run('plan', '--steps', '1')
    assert.equal(plan[0], 'Nothing is due now.')
    assert.equal(plan[2], 'What comes next, without further orders:')
    assert.ok(plan.includes('  INSTANT (WHEN)'))

    assert.deepEqual(await run('rotate', 'sig/ES256', '--actor', 'ada', '--reason', 'a drill'), [
      'Signs  KID (generation 2)',
      'Next  KID (generation 3) from INSTANT (WHEN)',
      'Running nodes follow within 30 s.',
    ])
    assert.deepEqual(await run('events', '--ring', 'sig/ES256'), [
      'AT  RING  KID  EVENT  BY  REASON',
      'INSTANT (WHEN)  sig/ES256  KID  signs from INSTANT  ada  a drill',
    ])
    const sooner = await run('rotate', 'sig/ES256')
    assert.equal(sooner[1], 'Next  KID (generation 3) from INSTANT (WHEN)')
    assert.match(sooner[4] ?? '', /^Key KID has been published since INSTANT .* It signs after/)
    const again = await run('rotate', 'sig/ES256')
    assert.match(
      again[0] ?? '',
      /^Key KID has been published since INSTANT \(WHEN\)\. It signs after/,
    )
    assert.match(
      again.at(-1) ?? '',
      /^Ring sig\/ES256 already turns at INSTANT, .* KID\. To switch earlier, at a price: keyturn keys promote '?KID'? --force$/,
    )
    assert.deepEqual(await run('rotate', 'sig/none'), [
      'There is no ring sig/none. Configured rings: sig/RS256, sig/ES256, cookie.',
    ])
    assert.deepEqual(await run('show', 'nobody'), [
      'There is no key nobody. See: keyturn keys list',
    ])
  })

  it('are revoked with the price first, then the result', async () => {
    await using cli = await keyturnIn()
    await cli.makeRings(20 * DAY)
    const [, , first] = await cli.json(['keys', 'list'])
    const answer = await cli.run(['keys', 'revoke', `${first?.kid}`, '--actor', 'ada'])
    const [price, done] = [
      stable({ out: '', err: answer.err }),
      stable({ out: answer.out, err: '' }),
    ]
    assert.equal(price[0], 'Key KID (generation 2) takes over.')
    assert.ok(
      price.includes(
        'Key KID leaves the JWKS. Relying parties may trust its signatures for at most this long:',
      ),
      price.join('\n'),
    )
    assert.ok(price.includes('KEEPS KEYS  TRUSTS FOR  UNTIL  SUCH AS'))
    assert.deepEqual(done.slice(0, 4), [
      'Revoked  KID',
      'Signs  KID (generation 2)',
      'Next  KID (generation 3) from INSTANT (WHEN)',
      'Running nodes follow within 30 s.',
    ])
    assert.match(
      done[5] ?? '',
      /^Relying parties that fetch the JWKS only for an unknown kid trust the revoked key until they meet the fresh key KID \(generation 3\), which signs from INSTANT \(WHEN\)\./,
    )
    assert.ok(done.includes('FROM  KINDS OF RELYING PARTIES THAT FAIL  FOR AT MOST  SUCH AS'))
    const twice = await cli.run(['keys', 'revoke', `${first?.kid}`])
    assert.match(twice.err, /^No key is newly revoked\.$/m)
  })
})
