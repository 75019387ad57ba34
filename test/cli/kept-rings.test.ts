import assert from 'node:assert/strict'
import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { stringify } from 'yaml'
import { keepKeyRing, openKeyRing } from '../../src/data-protection/open-key-ring.ts'
import { type EmptyRing, emptyDirectory, RING_PLACES } from '../data-protection/empty-rings.ts'
import { keyturnIn, type Row } from './keyturn.ts'

const DAY = 86_400_000
const RING = 'data-protection/shop'

/** A ring of a keeper that began `days` ago and ran once a day. */
async function keepFor(days: number, source: EmptyRing['source']): Promise<void> {
  let time = Date.now() - days * DAY
  const keeper = await keepKeyRing({ ...source, now: () => new Date(time) })
  for (; time <= Date.now(); time += DAY) await keeper.look()
  await keeper.close()
}

function commands(ring: Readonly<Record<string, unknown>>) {
  return keyturnIn({
    KEYTURN_DATA_PROTECTION__RINGS: stringify([{ name: 'shop', ...ring }]),
  })
}

/** The rows of the kept ring. */
const kept = (rows: readonly Row[]) => rows.filter(({ ring }) => ring === RING)

for (const { name, skip, create } of RING_PLACES) {
  it(`keys of a ring in ${name} are listed, planned and revoked like signing keys`, {
    skip,
  }, async () => {
    await using ring = await create()
    await using keyturn = await commands(ring.source)
    await keepFor(80, ring.source)
    await keyturn.makeRings(0)

    const rows = kept(await keyturn.json(['keys', 'list']))
    assert.deepEqual(
      rows.map(({ phase }) => phase),
      ['active', 'pre-active'],
    )
    const [active, next] = rows
    assert.ok(active && next)
    assert.equal(active.generation, null)
    assert.equal(active.retiresAt, next.activatesAt)
    const days = (at: unknown) => Math.round((Date.parse(String(at)) - Date.now()) / DAY)
    assert.deepEqual([days(active.activatesAt), days(next.activatesAt)], [-80, 10])
    const text = (await keyturn.run(['keys', 'list'])).out
    assert.match(text, /^data-protection\/shop +- +active +[\da-f-]{36} +protects until 20/m)
    assert.match(text, /^sig\/RS256 +1 +active/m)

    interface Plan {
      readonly due: readonly Row[]
      readonly forecast: readonly Row[]
    }
    const { forecast } = await keyturn.json<Plan>(['keys', 'plan'])
    const changes = kept(forecast).map((row) => [row.change, row.kid, days(row.at)])
    assert.deepEqual(changes.slice(0, 3), [
      ['retire', active.kid, 10],
      ['activate', next.kid, 10],
      ['create', null, 72],
    ])

    // A beginning will do, as it does for other kids.
    const beginning = next.kid.slice(0, 13)
    const shown = await keyturn.json<Row>(['keys', 'show', beginning])
    assert.deepEqual([shown.ring, shown.kid, shown.phase], [RING, next.kid, 'pre-active'])

    const revoked = await keyturn.run([
      'keys',
      'revoke',
      active.kid.slice(0, 13),
      '--reason',
      'sold',
    ])
    assert.equal(revoked.status, 0, revoked.err)
    assert.match(revoked.err, /read it again after 19 to 24 hours[\s\S]*1\. Restart first/)
    assert.match(revoked.out, new RegExp(`^Revoked  ${active.kid}\nMade     `))
    const after = kept(await keyturn.json(['keys', 'list']))
    const phaseOf = (kid: string) => after.find((row) => row.kid === kid)?.phase
    assert.equal(phaseOf(active.kid), 'revoked')
    assert.equal(phaseOf(next.kid), 'pre-active')
    const successor = after.find(({ phase }) => phase === 'active')
    await using opened = await openKeyRing({ ...ring.source, now: () => new Date() })
    assert.deepEqual(opened.problems, [])
    assert.equal(opened.defaultKey().key, successor?.kid)
    assert.match(revoked.out, new RegExp(`^Protects ${successor?.kid}$`, 'm'))

    const events = await keyturn.json(['keys', 'events', '--ring', RING])
    assert.deepEqual(
      events.map(({ type, kid, reason }) => [type, kid, String(reason).replace(/ \(.*/, '')]),
      [['revoke', active.kid, 'sold']],
    )
  })
}

describe('a kept ring', () => {
  it('is revoked as a whole by date, only once if the command is repeated', async () => {
    await using ring = await emptyDirectory()
    await using keyturn = await commands(ring.source)
    await keepFor(80, ring.source)
    const args = ['keys', 'revoke', '--ring', RING, '--created-before', '1d']
    interface Outcome {
      readonly revoked: readonly string[]
      readonly successors: readonly string[]
      readonly active: string
      readonly knownEverywhereAt: string
    }
    const first = await keyturn.json<Outcome>(args)
    assert.equal(first.revoked.length, 2)
    assert.deepEqual(first.successors.slice(0, 1), [first.active])
    const again = await keyturn.run([...args, '--json'])
    assert.match(again.err, /No key is newly revoked/)
    assert.deepEqual((JSON.parse(again.out) as Outcome).revoked, [])
    const future = await keyturn.run([...args.slice(0, 5), '2099-01-01T00:00:00Z'])
    assert.equal(future.status, 1)
    assert.match(future.err, /is in the future/)
  })

  it('that is not configured is not found', async () => {
    await using ring = await emptyDirectory()
    await using keyturn = await commands(ring.source)
    for (const args of [
      ['keys', 'revoke', '--ring', 'data-protection/other', '--created-before', 'now'],
      ['keys', 'events', '--ring', 'data-protection/other'],
    ]) {
      const { status, err } = await keyturn.run(args)
      assert.equal(status, 1)
      assert.match(err, /There is no ring data-protection\/other.*: data-protection\/shop/)
    }
  })

  it('that cannot be read hides no other ring, but the listing fails', async () => {
    await using ring = await emptyDirectory()
    await using keyturn = await commands(ring.source)
    await keyturn.makeRings(0)
    await rm(ring.source.directory ?? '', { recursive: true })
    for (const command of ['list', 'plan']) {
      const { status, out, err } = await keyturn.run(['keys', command])
      assert.equal(status, 1, command)
      assert.match(out, /sig\/RS256/)
      assert.match(err, /^data-protection\/shop: .*cannot be read/)
    }
    // A key of an issuer is found and revoked all the same.
    const [row] = JSON.parse((await keyturn.run(['keys', 'list', '--json'])).out) as Row[]
    assert.ok(row)
    assert.equal((await keyturn.run(['keys', 'revoke', row.kid])).status, 0)
  })

  it('whose next key cannot be made has the reason in its plan, and no key is revoked', async () => {
    await using ring = await emptyDirectory()
    await using keyturn = await commands(ring.source)
    await keepFor(80, ring.source)
    const directory = ring.source.directory ?? ''
    await writeFile(join(directory, 'key-x.xml'), '<key id="')
    const [, next] = kept(await keyturn.json(['keys', 'list']))
    await rm(join(directory, `key-${next?.kid}.xml`))
    const plan = await keyturn.run(['keys', 'plan'])
    assert.match(plan.err, /A key is due and cannot be made: elements of the ring cannot be read/)
    const [active] = kept(await keyturn.json(['keys', 'list']))
    const before = await readdir(directory)
    const { status, err } = await keyturn.run(['keys', 'revoke', active?.kid ?? ''])
    assert.equal(status, 1)
    assert.match(err, /nothing was revoked/)
    assert.deepEqual(await readdir(directory), before)
  })

  it('without its certificate is shown with a warning', async () => {
    await using ring = await emptyDirectory()
    await using keyturn = await commands({
      ...ring.source,
      certificates: [{ file: '/nowhere/ring.pfx' }],
    })
    await keepFor(1, ring.source)
    const { status, out, err } = await keyturn.run(['keys', 'list'])
    assert.equal(status, 0)
    assert.match(out, /data-protection\/shop +- +active/)
    assert.match(err, /The certificate \/nowhere\/ring\.pfx cannot be used.*shown all the same/)
    const [row] = kept(await keyturn.json(['keys', 'list']))
    const revoke = await keyturn.run(['keys', 'revoke', row?.kid ?? ''])
    assert.equal(revoke.status, 1)
    assert.match(revoke.err, /The certificate .* cannot be used/)
  })
})
