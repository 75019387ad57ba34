import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { DAY, keyturnIn, kidOf, phasesOf, type Row } from './keyturn.ts'

const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/

interface Sooner {
  readonly kid: string
  readonly command: string
  readonly switches: readonly { readonly from: string; readonly fails: readonly object[] }[]
}

describe('keys list, show, plan and events', () => {
  it('list no keys before the first start, and plan the keys that it will make', async () => {
    await using cli = await keyturnIn()
    assert.deepEqual(await cli.json(['keys', 'list']), [])
    const planned = await cli.json<{ due: { change: string }[] }>(['keys', 'plan'])
    assert.equal(planned.due.filter(({ change }) => change === 'create').length, 6)
    assert.deepEqual(await cli.json(['keys', 'list']), [], 'a plan changes nothing')
  })

  it('show the rings in words and in stable JSON', async () => {
    await using cli = await keyturnIn()
    await cli.makeRings(20 * DAY)
    const rows = await cli.json(['keys', 'list'])
    assert.deepEqual(
      rows.map(({ ring, generation, phase }) => `${ring} ${generation} ${phase}`),
      [
        'sig/RS256 1 active',
        'sig/RS256 2 pre-active',
        'sig/ES256 1 active',
        'sig/ES256 2 pre-active',
        'cookie 1 active',
        'cookie 2 pre-active',
      ],
    )
    const [active, standby] = rows
    assert.ok(active && standby)
    assert.deepEqual(
      Object.keys(active).join(' '),
      'ring generation kid algorithm phase createdAt activatesAt retiresAt unpublishAt protectedBy issuer',
    )
    for (const name of ['createdAt', 'activatesAt', 'retiresAt', 'unpublishAt']) {
      assert.match(String(active[name]), INSTANT, name)
    }
    assert.equal(standby.retiresAt, null)
    assert.equal(typeof active.protectedBy, 'string')

    const [list, events, plan, shown] = await Promise.all([
      cli.run(['keys', 'list']),
      cli.run(['keys', 'events']),
      cli.run(['keys', 'plan', '--until', '75d']),
      cli.json<Row & { publicJwk: object; next: { change: string }[] }>([
        'keys',
        'show',
        active.kid,
      ]),
    ])
    assert.match(list.out, new RegExp(`1 +active +${active.kid} +retires .* \\(in \\d\\d days\\)`))
    assert.equal(events.out, 'No event has been recorded yet.\n')
    assert.match(plan.out, /^Nothing is due now/)
    assert.match(plan.out, /generation 2 \(.{8}\.\.\.\) becomes active: as planned/)
    assert.doesNotMatch(plan.out, /leaves the JWKS:/, 'that is beyond 75 days')
    assert.deepEqual(Object.keys(shown.publicJwk).sort(), ['alg', 'e', 'kid', 'kty', 'n', 'use'])
    const future = shown.next.map(({ change }) => change)
    assert.deepEqual(future, ['retire', 'erase', 'unpublish', 'delete'])
  })

  it('fail for a key that does not exist or does not open, with advice', async () => {
    await using cli = await keyturnIn()
    await cli.makeRings(DAY)
    const unknown = await cli.run(['keys', 'show', '-'.padEnd(43, 'x')])
    assert.equal(unknown.status, 1)
    assert.match(unknown.err, /There is no key -xxx.* See: keyturn keys list/)

    const kid = kidOf(await cli.json(['keys', 'list']), 2)
    await cli.editKey(kid, { activatesAt: 1 })
    const broken = await cli.run(['keys', 'list'])
    assert.equal(broken.status, 1)
    // In quotes where it begins with a hyphen.
    assert.match(broken.err, new RegExp(`field activatesAt was edited.*keys revoke '?${kid}`))
  })
})

describe('the beginning of a kid', () => {
  /** The shortest beginning of a kid that no other key has. */
  const beginning = (kid: string) => kid.slice(0, 8)

  it('shows the same as the whole kid', async () => {
    await using cli = await keyturnIn()
    await cli.makeRings(15 * DAY)
    await cli.json(['keys', 'rotate', 'sig/ES256'])
    for (const { kid } of await cli.json(['keys', 'list'])) {
      const whole = ['keys', 'show', kid]
      const [inWords, asJson, shortWords, shortJson] = await Promise.all([
        cli.run(whole),
        cli.run([...whole, '--json']),
        cli.run(['keys', 'show', beginning(kid)]),
        // As `keys plan` prints it.
        cli.run(['keys', 'show', `${beginning(kid)}...`, '--json']),
      ])
      const next = (text: string) => text.replace(/\((now|in .*?|.*? ago)\)/g, '')
      assert.equal(next(shortWords.out), next(inWords.out))
      assert.deepEqual(JSON.parse(shortJson.out), JSON.parse(asJson.out))
      assert.doesNotMatch(shortWords.out, /Next\n {2}nothing/)
    }
    const promoted = kidOf(await cli.json(['keys', 'list']), 2)
    const shown = await cli.json<{ events: object[] }>(['keys', 'show', beginning(promoted)])
    assert.equal(shown.events.length, 1)
  })

  it('works for promote, revoke and events, whose answers have the whole kid', async () => {
    await using cli = await keyturnIn()
    await cli.makeRings(DAY)
    const rows = await cli.json(['keys', 'list'])
    const [first, standby] = [kidOf(rows, 1), kidOf(rows, 2)]
    const early = await cli.run(['keys', 'promote', beginning(standby)])
    assert.match(early.err, new RegExp(`^Key ${standby} has been published`, 'm'))
    assert.match(early.err, new RegExp(`Key ${standby} has been published for \\d+ .* of the 14 d`))
    const promoted = await cli.json<Row>(['keys', 'promote', beginning(standby), '--force'])
    assert.equal(promoted.kid, standby)
    const { revoked } = await cli.json<Row>(['keys', 'revoke', beginning(first)])
    assert.deepEqual(revoked, [first])
    const events = await cli.json(['keys', 'events', beginning(first)])
    assert.deepEqual(
      events.map(({ type, kid }) => [type, kid]),
      [['revoke', first]],
    )
    const ofRing = await cli.json(['keys', 'events', '--ring', 'sig/ES256', '--last', '1'])
    assert.equal(ofRing.length, 1)
    const unknown = await cli.run(['keys', 'events', '--ring', 'sig/ES255'])
    assert.match(unknown.err, /There is no ring sig\/ES255/)
  })

  it('is refused if several keys have it, with their kids, or if no key has it', async () => {
    await using cli = await keyturnIn()
    await cli.makeRings(DAY)
    const kids = [`-A-${'b'.repeat(40)}`, `-A-${'c'.repeat(40)}`]
    const rows = await cli.json(['keys', 'list'])
    await cli.editKey(kidOf(rows, 1), { id: kids[0] ?? '' })
    await cli.editKey(kidOf(rows, 2), { id: kids[1] ?? '' })
    for (const order of ['revoke', 'events']) {
      const shared = await cli.run(['keys', order, '-A-'])
      assert.notEqual(shared.status, 0)
      const several = await cli.run(['keys', order, '--', '-A-'])
      assert.equal(several.status, 1)
      for (const kid of kids) assert.ok(several.err.includes(kid), several.err)
    }
    const one = await cli.run(['keys', 'revoke', '-A-cccc', '--reason', '-A-bbbb'])
    assert.match(one.err, /Key -A-c{40}/, 'it is no option, and a reason is no kid')
    const events = await cli.json(['keys', 'events', '-A-cccc'])
    assert.deepEqual(
      events.map(({ reason }) => reason),
      ['-A-bbbb'],
    )
    for (const name of ['', ' ', '...']) {
      for (const order of ['show', 'promote', 'revoke', 'events']) {
        const { status, err } = await cli.run(['keys', order, name])
        assert.equal(status, 2, `${order} "${name}": ${err}`)
      }
    }
    assert.equal((await cli.run(['keys', 'promote', 'x', '--forse'])).status, 2)
  })
})

describe('keys rotate, promote and revoke', () => {
  it('rotate lets a standby that RPs know sign at once and makes a new standby', async () => {
    await using cli = await keyturnIn()
    await cli.makeRings(15 * DAY)
    const before = await cli.json(['keys', 'list'])
    const args = ['keys', 'rotate', 'sig/ES256', '--reason', 'audit', '--actor', 'ada']
    const { kid, keys } = await cli.json<{ kid: string; keys: Row[] }>(args)
    assert.equal(kid, kidOf(before, 2))
    assert.deepEqual(phasesOf(keys), ['1 retired', '2 active', '3 pre-active'])

    const [after, events, again] = await Promise.all([
      cli.json(['keys', 'list']),
      cli.json<Record<string, unknown>[]>(['keys', 'events']),
      cli.run(['keys', 'rotate', 'sig/NONE']),
    ])
    assert.deepEqual(phasesOf(after), ['1 retired', '2 active', '3 pre-active'])
    assert.deepEqual(phasesOf(after, 'sig/RS256'), ['1 active', '2 pre-active'])
    assert.deepEqual(
      events.map(({ type, kid: of, reason, actor }) => [type, of, reason, actor]),
      [['promote', kid, 'audit', 'ada']],
    )
    assert.equal(again.status, 1)
    assert.match(again.err, /There is no ring sig\/NONE. Configured rings: sig\/RS256/)
  })

  it('rotate waits until all RPs know the standby, and is refused the second time', async () => {
    await using cli = await keyturnIn()
    await cli.makeRings(DAY)
    const first = await cli.run(['keys', 'rotate', 'sig/ES256'])
    assert.match(first.out, /Signs .*\(generation 1\)\nNext .*\(generation 2\) from .*in 13 days/)
    const second = await cli.run(['keys', 'rotate', 'sig/ES256'])
    assert.equal(second.status, 1)
    assert.match(second.err, /already turns at .* keyturn keys promote .* --force/)
  })

  it('promote refuses an early switch with its price, and carries it out with --force', async () => {
    await using cli = await keyturnIn()
    await cli.makeRings(60)
    const kid = kidOf(await cli.json(['keys', 'list']), 2)
    const refused = await cli.run(['keys', 'promote', kid])
    assert.equal(refused.status, 1)
    assert.equal(refused.out, '')
    assert.match(refused.err, /SUCH AS\n.*no cache +1 h 1\d min/s)
    assert.match(refused.err, /take the price .* To accept that: keyturn keys promote \S+ --force/)
    assert.deepEqual(phasesOf(await cli.json(['keys', 'list'])), ['1 active', '2 pre-active'])

    const forced = await cli.run(['keys', 'promote', kid, '--force', '--json'])
    assert.equal(forced.status, 0)
    assert.match(forced.err, /Microsoft\.IdentityModel/)
    assert.deepEqual(phasesOf(JSON.parse(forced.out).keys), [
      '1 retired',
      '2 active',
      '3 pre-active',
    ])
    const [again, late] = await Promise.all([
      cli.run(['keys', 'promote', kid]),
      cli.run(['keys', 'promote', 'nobody']),
    ])
    assert.match(again.err, /is active; only a pre-active key can be promoted/)
    assert.deepEqual([again.status, late.status], [1, 1])
  })

  it('revoke replaces the active key by the standby and plans a fresh key', async () => {
    await using cli = await keyturnIn()
    await cli.makeRings(20 * DAY)
    const before = await cli.json(['keys', 'list'])
    const kid = kidOf(before, 1)
    const told = await cli.run(['keys', 'revoke', kid, '--reason', 'leaked'])
    assert.equal(told.status, 0)
    assert.match(told.err, new RegExp(`Key ${kidOf(before, 2)} \\(generation 2\\) takes over`))
    assert.match(told.err, /TRUSTS FOR .*go-oidc/s)
    assert.doesNotMatch(told.err, /FAILS FOR/, 'RPs have long known the standby')
    assert.match(told.out, new RegExp(`^Revoked {2}${kid}\nSigns {4}${kidOf(before, 2)}`))

    const [after, again] = await Promise.all([
      cli.json(['keys', 'list']),
      cli.run(['keys', 'revoke', kid]),
    ])
    assert.deepEqual(phasesOf(after), ['1 revoked', '2 active', '3 pre-active'])
    const fresh = after.find((row) => row.ring === 'sig/ES256' && row.generation === 3)
    const wait = Date.parse(String(fresh?.activatesAt)) - Date.parse(String(fresh?.createdAt))
    assert.equal(wait / 1000, 14 * DAY)
    assert.equal(again.status, 0)
    assert.match(again.err, /No key is newly revoked/)
  })

  it('revoke names when the fresh key can sign sooner, the command for it, and its price', async () => {
    await using cli = await keyturnIn()
    await cli.makeRings(20 * DAY)
    const [first, other] = [
      kidOf(await cli.json(['keys', 'list']), 1),
      kidOf(await cli.json(['keys', 'list']), 1, 'sig/RS256'),
    ]
    const told = await cli.run(['keys', 'revoke', first])
    const rows = await cli.json(['keys', 'list'])
    const fresh = kidOf(rows, 3)
    const command = `keys promote ${fresh} --force`
    assert.match(told.out, new RegExp(`trust the revoked key.*fresh key ${fresh} .*in 14 days`))
    assert.match(told.out, /\(now\) +50 of 53 +1 d 2 h .*DiscoveryCache/)
    assert.match(told.out, /\(in 25 hours\) +none that fetches by itself/)
    assert.ok(told.out.includes(`keyturn ${command}\n`), told.out)
    assert.match(
      (await cli.run(['keys', 'revoke', '--help'])).out,
      /lets the fresh key sign sooner/,
    )

    const { sooner } = await cli.json<{ sooner: Sooner }>(['keys', 'revoke', other])
    assert.equal(sooner.kid, kidOf(await cli.json(['keys', 'list']), 3, 'sig/RS256'))
    assert.equal(sooner.command, `keyturn keys promote ${sooner.kid} --force`)
    assert.deepEqual(
      sooner.switches.map(({ fails }) => fails.length),
      [45, 19, 2],
    )
    const promoted = await cli.run(command.split(' '))
    assert.equal(promoted.status, 0, promoted.err)
    assert.deepEqual(phasesOf(await cli.json(['keys', 'list'])).slice(0, 3), [
      '1 revoked',
      '2 retired',
      '3 active',
    ])
  })

  it('rotate explains why it waits, and the price of an earlier switch', async () => {
    await using cli = await keyturnIn()
    await cli.makeRings(60)
    const standby = kidOf(await cli.json(['keys', 'list']), 2)
    const first = await cli.run(['keys', 'rotate', 'sig/ES256'])
    const second = await cli.run(['keys', 'rotate', 'sig/ES256'])
    assert.deepEqual([first.status, second.status], [0, 1])
    for (const text of [first.out, second.err]) {
      assert.match(text, new RegExp(`Key ${standby} has been published since .*ago`))
      assert.match(text, /after 14 d \(rotation.propagation\)/)
      assert.match(text, /\(now\) +50 of 53 /)
      assert.ok(text.includes(`keyturn keys promote ${standby} --force\n`))
    }
    const cookie = await cli.run(['keys', 'rotate', 'cookie'])
    assert.match(cookie.out, /every node knows it.*before .* other nodes may not know it/s)
    assert.doesNotMatch(cookie.out, /RELYING PARTIES/)
    const { sooner } = await cli.json<{ sooner: Sooner }>(['keys', 'rotate', 'sig/RS256'])
    assert.equal(sooner.switches.length, 3)
  })

  it('rotate shows no price if every relying party knows the key', async () => {
    await using cli = await keyturnIn()
    await cli.makeRings(15 * DAY)
    const { out } = await cli.run(['keys', 'rotate', 'sig/ES256'])
    assert.doesNotMatch(out, /sooner|price/)
    assert.equal((await cli.json<{ sooner: null }>(['keys', 'rotate', 'sig/RS256'])).sooner, null)
  })

  it('revoke by date revokes every older key of one ring and no other', async () => {
    await using cli = await keyturnIn()
    await cli.makeRings(20 * DAY)
    const args = ['keys', 'revoke', '--ring', 'sig/ES256', '--created-before']
    const none = await cli.json<{ revoked: string[] }>([...args, '21d'])
    assert.deepEqual(none.revoked, [])
    const { revoked, active } = await cli.json<{ revoked: string[]; active: string }>([
      ...args,
      '12h',
    ])
    assert.equal(revoked.length, 2)
    const rows = await cli.json(['keys', 'list'])
    assert.deepEqual(phasesOf(rows), ['1 revoked', '2 revoked', '3 active', '4 pre-active'])
    assert.equal(active, kidOf(rows, 3))
    assert.deepEqual(phasesOf(rows, 'sig/RS256'), ['1 active', '2 pre-active'])
    const future = await cli.run([...args, '2099-01-01T00:00:00Z'])
    assert.equal(future.status, 1)
    assert.match(future.err, /is in the future/)
  })

  it('revoke of all keys of a ring ends trust with the key that signs at once', async () => {
    await using cli = await keyturnIn()
    await cli.makeRings(20 * DAY)
    const told = await cli.run(['keys', 'revoke', '--ring', 'sig/ES256', '--created-before', 'now'])
    assert.match(told.err, /A key made now \(generation 3\) takes over/)
    assert.match(told.err, /^for ever, but fetches for an unknown kid +1 h 18 min /m)
    assert.doesNotMatch(told.out, /trust the revoked key|sooner/)
    const cookies = ['keys', 'revoke', '--ring', 'cookie', '--created-before', 'now']
    assert.doesNotMatch((await cli.run(cookies)).out, /nobody had before/)
    const rs = ['keys', 'revoke', '--ring', 'sig/RS256', '--created-before', 'now']
    assert.equal((await cli.json<{ sooner: null }>(rs)).sooner, null)
  })

  for (const { generation, phases } of [
    { generation: 1, phases: ['1 revoked', '2 active', '3 pre-active'] },
    { generation: 2, phases: ['1 active', '2 revoked', '3 pre-active'] },
  ]) {
    it(`revoke gives up key ${generation} of a ring if it does not open`, async () => {
      await using cli = await keyturnIn()
      await cli.makeRings(DAY)
      const kid = kidOf(await cli.json(['keys', 'list']), generation)
      await cli.editKey(kid, { data: 'scrambled' })
      assert.equal((await cli.run(['keys', 'list'])).status, 1)

      const { revoked } = await cli.json<{ revoked: string[] }>(['keys', 'revoke', kid])
      assert.deepEqual(revoked, [kid])
      const rows = await cli.json(['keys', 'list'])
      assert.deepEqual(phasesOf(rows), phases)
      const unread = rows.find((row) => row.kid === kid)
      assert.equal(unread?.protectedBy, null)
      const planned = await cli.json<{ due: object[] }>(['keys', 'plan'])
      assert.deepEqual(planned.due, [], 'everything that follows was done at once')
    })
  }

  it('without the key-encryption key, list shows keys unchecked and revoke is refused', async () => {
    await using cli = await keyturnIn()
    await cli.makeRings(DAY)
    const kid = kidOf(await cli.json(['keys', 'list']), 1)
    const other = await keyturnIn({
      KEYTURN_DATABASE__URL: `sqlite:${cli.path}/keyturn.db`,
      KEYTURN_SEAL__FILE: `${cli.path}/lost.jwks`,
    })
    await using _ = other
    const answer = await other.run(['keys', 'revoke', kid])
    assert.equal(answer.status, 1)
    assert.match(answer.err, /lost.jwks is missing.*keyturn keys abandon --lost-kek/)
    const listed = await other.run(['keys', 'list', '--json'])
    assert.equal(listed.status, 1)
    assert.match(listed.err, /the unchecked content of their records/)
    assert.deepEqual(phasesOf(JSON.parse(listed.out)), ['1 active', '2 pre-active'])
  })
})
