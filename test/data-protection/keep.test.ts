import assert from 'node:assert/strict'
import { cp, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { createRandom } from '../../fuzz/random.ts'
import { temporaryFolder } from '../../lab/temporary.ts'
import { withoutVectors } from '../../lab/vectors.ts'
import { loadCertificate } from '../../src/data-protection/certificate-file.ts'
import {
  type KeyFacts,
  PROPAGATION,
  resolveDefaultKey,
} from '../../src/data-protection/default-key.ts'
import { openDirectoryStore } from '../../src/data-protection/directory-store.ts'
import { KeyRingUnreadable } from '../../src/data-protection/errors.ts'
import { createKeeper, type RingKeeper } from '../../src/data-protection/keeper.ts'
import { keepKeyRing, openKeyRing } from '../../src/data-protection/open-key-ring.ts'
import { formatTicks, TICKS_PER_DAY, type Ticks, ticksOf } from '../../src/values/ticks.ts'
import { assertNoGap, DAY, factsIn, failing, HOUR, node, START } from './kept.ts'
import { certificatesOf, ENTRIES, VECTORS } from './vectors.ts'

describe('a ring kept by two nodes', { skip: withoutVectors }, () => {
  it('has one default key at every instant of two years, though its store fails one time in ten', async () => {
    await using folder = await temporaryFolder()
    const random = createRandom(20_260_101)
    const clock = { time: START }
    const store = openDirectoryStore(folder.path)
    // Their clocks differ by what ASP.NET Core allows.
    const nodes = [0, 250_000].map((offset) =>
      node(
        failing(store, () => random.below(1000) / 1000),
        clock,
        offset,
      ),
    )
    let failures = 0
    const look = async (keeper: RingKeeper) => {
      try {
        const { late, problems } = await keeper.look()
        assert.deepEqual({ late, problems }, { late: false, problems: [] })
      } catch (error) {
        if (!(error instanceof KeyRingUnreadable)) throw error
        failures += 1
      }
    }

    while (clock.time < START + 730 * DAY) {
      await Promise.all(nodes.map(look))
      clock.time += 8 * HOUR + Math.floor(random.below(1000) * (HOUR / 1000))
    }
    assert.ok(failures > 200, `${failures} failures`)

    const ring = await openKeyRing({ directory: folder.path, now: () => new Date(clock.time) })
    assert.deepEqual(ring.problems, [])
    const keys = await factsIn(store)
    const inTurn = keys.toSorted((a, b) => Number(a.activatesAt - b.activatesAt))
    const first = inTurn[0]
    assert.ok(first && first.createdAt - ticksOf(new Date(START)) < TICKS_PER_DAY * 2n)
    assertNoGap(keys, first.createdAt, ticksOf(new Date(clock.time)))

    for (const [i, key] of inTurn.entries()) {
      const before = inTurn[i - 1]
      if (!before) continue
      assert.equal(key.activatesAt, before.expiresAt, 'each begins where the one before ends')
      assert.ok(key.activatesAt - key.createdAt >= 7n * TICKS_PER_DAY, 'and is known a week before')
    }
    // Keys live for 90 days and are made within two weeks of the end of the one before.
    assert.ok(inTurn.length >= 9 && inTurn.length <= 11, `${inTurn.length} keys`)
    assertReadersAgree(keys, ticksOf(new Date(clock.time)))
    assert.deepEqual(
      (await readdir(folder.path)).filter((name) => !name.endsWith('.xml')),
      [],
    )
  })

  it('tells long before when it is late, in seconds since the epoch', async () => {
    await using folder = await temporaryFolder()
    const now = { time: START }
    const options = { directory: folder.path, now: () => new Date(now.time) }
    const keeper = await keepKeyRing(options)
    const { made, late, dueAt, lateAt, endsAt } = await keeper.look()
    const days = (at: number) => (at * 1000 - START) / DAY
    assert.ok(made)
    assert.deepEqual([late, days(dueAt), days(lateAt), days(endsAt)], [false, 76, 83, 90])
    const slow = await keepKeyRing({ ...options, policy: { lead: 20 * 86_400 } })
    assert.equal(days((await slow.look()).dueAt), 70)
    await assert.rejects(keepKeyRing({ ...options, policy: { notice: 86_400 } }), TypeError)
  })

  it('begins with one key, however many nodes begin at once', async () => {
    await using folder = await temporaryFolder()
    const clock = { time: START }
    const nodes = Array.from({ length: 5 }, () => node(openDirectoryStore(folder.path), clock))
    const reports = await Promise.all(nodes.map((keeper) => keeper.look()))
    assert.equal((await readdir(folder.path)).length, 1)
    assert.equal(reports.filter(({ made }) => made).length <= 1, true)
    for (const { late } of reports) assert.equal(late, false)
  })
})

/** Whoever read the ring a day or two ago protects with the same key as who reads it now. */
function assertReadersAgree(keys: readonly KeyFacts[], end: Ticks) {
  const from = keys.reduce((least, { createdAt }) => (createdAt < least ? createdAt : least), end)
  for (let at = from + PROPAGATION; at < end; at += TICKS_PER_DAY / 4n) {
    const known = keys.filter(({ createdAt }) => createdAt <= at - PROPAGATION)
    assert.equal(resolveDefaultKey(known, at).key, resolveDefaultKey(keys, at).key, formatTicks(at))
  }
}

describe('a keeper', { skip: withoutVectors }, () => {
  const entry = ENTRIES.find(({ file }) => file === 'rings/certificate')
  assert.ok(entry)
  const files = certificatesOf(entry)

  it('encrypts new keys for its first certificate', async () => {
    await using folder = await temporaryFolder()
    const certificates = await Promise.all(files.map(loadCertificate))
    const store = openDirectoryStore(folder.path)
    const now = () => new Date(START)
    const { made } = await createKeeper({ store, certificates, now }).look()
    const open = (file: (typeof files)[number] | undefined) =>
      openKeyRing({ directory: folder.path, certificates: file ? [file] : [], now })
    assert.equal((await open(files[0])).defaultKey().key, made)
    assert.equal((await open(files[1])).defaultKey().key, null)
    assert.deepEqual(
      (await open(undefined)).problems.map(({ code }) => code),
      ['certificate_missing'],
    )
  })

  it('takes no key that only others can open for a lost one', async () => {
    await using folder = await temporaryFolder()
    await cp(join(VECTORS, 'rings/certificate'), folder.path, { recursive: true })
    const clock = { time: Date.parse(entry.at) }
    const { made, problems } = await node(openDirectoryStore(folder.path), clock).look()
    assert.equal(made, undefined)
    assert.equal(problems.length, 2)
  })

  it('makes nothing while a file is half-written, and goes on once it is whole', async () => {
    await using folder = await temporaryFolder()
    const clock = { time: START }
    const keeper = node(openDirectoryStore(folder.path), clock)
    await keeper.look()
    clock.time += 80 * DAY
    await writeFile(join(folder.path, 'key-x.xml'), '<key id="')
    const { made, blocked } = await keeper.look()
    assert.deepEqual({ made, blocked }, { made: undefined, blocked: 'elements_unreadable' })
    await rm(join(folder.path, 'key-x.xml'))
    assert.ok((await keeper.look()).made)
  })

  it('does not begin anew where its ring was emptied', async () => {
    await using folder = await temporaryFolder()
    const keeper = node(openDirectoryStore(folder.path), { time: START })
    await keeper.look()
    for (const name of await readdir(folder.path)) await rm(join(folder.path, name))
    await assert.rejects(keeper.look(), { code: 'ring_emptied' })
    assert.deepEqual(await readdir(folder.path), [])
  })

  it('carries on a ring that ASP.NET Core made', async () => {
    await using folder = await temporaryFolder()
    await cp(join(VECTORS, 'rings/web'), folder.path, { recursive: true })
    const clock = { time: Date.parse('2027-02-10T00:00:00Z') }
    const { made, keys } = await node(openDirectoryStore(folder.path), clock).look()
    const [before, after] = [keys.find(({ id }) => id !== made), keys.find(({ id }) => id === made)]
    assert.equal(after?.activationDate, before?.expirationDate)
  })
})
