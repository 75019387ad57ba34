import assert from 'node:assert/strict'
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { temporaryFolder } from '../../lab/temporary.ts'
import { openDirectoryStore } from '../../src/data-protection/directory-store.ts'
import { createKeeper } from '../../src/data-protection/keeper.ts'
import { createKeeping } from '../../src/data-protection/keeping.ts'
import { openKeyRing } from '../../src/data-protection/open-key-ring.ts'
import { createFakeClock } from '../support/fake-clock.ts'

const DAY = 86_400
/** The longest pause between two looks. */
const HOUR = 3600

type Logged = readonly [level: string, data: Readonly<Record<string, unknown>>, message: string]

/** A process that keeps the ring of a directory, in a time of its own. */
function keep(directory: string, clock: ReturnType<typeof createFakeClock>) {
  const lines: Logged[] = []
  const write = (level: string) => (data: object, message: string) =>
    void lines.push([level, { ...data }, message])
  const log = { info: write('info'), warn: write('warn'), error: write('error') }
  const keeping = createKeeping({
    ring: 'data-protection/shop',
    open: async () => {
      const store = await openDirectoryStore(directory)
      return createKeeper({ store, now: () => new Date(clock.exact() * 1000) })
    },
    clock,
    now: clock.now,
    log,
  })
  keeping.start()
  const levelled = (level: string) => lines.filter(([each]) => each === level)
  return { ...keeping, levelled, [Symbol.asyncDispose]: keeping.stop }
}

/** Reading a directory takes real time, which the fake clock does not wait for. */
async function passing(
  clock: ReturnType<typeof createFakeClock>,
  keepings: readonly ReturnType<typeof keep>[],
  seconds: number,
) {
  await clock.pass(seconds)
  await Promise.all(keepings.map(({ look }) => look()))
}

async function keysIn(directory: string): Promise<readonly string[]> {
  return (await readdir(directory)).filter((name) => /^key-.*\.xml$/.test(name))
}

describe('processes that keep a ring', () => {
  it('make one key for one need, the next when it is due, and log each once', async () => {
    await using folder = await temporaryFolder()
    const clock = createFakeClock()
    await using one = keep(folder.path, clock)
    await using other = keep(folder.path, clock)
    const both = [one, other]
    await passing(clock, both, 0)
    assert.equal((await keysIn(folder.path)).length, 1)
    const { dueAt } = one.status.report ?? assert.fail()
    assert.equal(dueAt - clock.now(), 76 * DAY)

    await passing(clock, both, 75 * DAY)
    assert.equal((await keysIn(folder.path)).length, 1)
    await passing(clock, both, DAY + 2)
    assert.equal((await keysIn(folder.path)).length, 2)
    const made = both.flatMap(({ levelled }) => levelled('info'))
    assert.equal(made.length, 2)
    const ring = await openKeyRing({ directory: folder.path, now: () => new Date() })
    assert.deepEqual(
      made.map(([, data]) => data.kid).toSorted(),
      ring.keys.map(({ id }) => id).toSorted(),
    )
    for (const [, data] of made) assert.equal(data.ring, 'data-protection/shop')
    assert.deepEqual(
      both.flatMap(({ levelled }) => levelled('error')),
      [],
    )
  })

  it('wake by themselves at the instant at which a key is due', async () => {
    await using folder = await temporaryFolder()
    const clock = createFakeClock()
    await using keeping = keep(folder.path, clock)
    const files = () => keysIn(folder.path)
    while (!keeping.status.report) await clock.settle()
    const { dueAt } = keeping.status.report
    await clock.pass(dueAt - clock.now() - HOUR / 2)
    assert.equal((await files()).length, 1)
    await clock.pass(HOUR / 2 + 2)
    while (keeping.status.report?.dueAt === dueAt) await clock.settle()
    assert.equal((await files()).length, 2)
  })

  it('are late by the time of now while every look fails, and go on once the ring is back', async () => {
    await using folder = await temporaryFolder()
    const [there, away] = [join(folder.path, 'ring'), join(folder.path, 'away')]
    await mkdir(there)
    const clock = createFakeClock()
    await using keeping = keep(there, clock)
    const { status, levelled } = keeping
    await passing(clock, [keeping], 0)
    assert.deepEqual([status.isLate(), status.failure], [false, undefined])

    await rename(there, away)
    await passing(clock, [keeping], 84 * DAY)
    assert.equal(status.isLate(), true)
    assert.match(status.failure?.message ?? '', /cannot be read/)
    assert.ok(status.failedLooks > 1)
    const [, data] = levelled('error')[0] ?? []
    assert.equal(data?.ring, 'data-protection/shop')
    assert.equal(data?.code, 'ring_unavailable')
    assert.equal(data?.failures, 1)

    await rename(away, there)
    await passing(clock, [keeping], HOUR)
    assert.deepEqual([status.isLate(), status.failure], [false, undefined])
    assert.equal((await keysIn(there)).length, 2)
  })

  it('say once that a key is due and cannot be made, and that they are late', async () => {
    await using folder = await temporaryFolder()
    const clock = createFakeClock()
    await using keeping = keep(folder.path, clock)
    await passing(clock, [keeping], 0)
    await writeFile(join(folder.path, 'key-x.xml'), '<key id="')
    await passing(clock, [keeping], 77 * DAY)
    await passing(clock, [keeping], DAY)
    const messages = () => keeping.levelled('error').map(([, , message]) => message)
    assert.deepEqual(messages(), ['a key of the kept ring is due and cannot be made'])
    await passing(clock, [keeping], 6 * DAY)
    assert.equal(messages().length, 2)
    assert.match(messages()[1] ?? '', /^the keeper is late/)
    assert.equal(keeping.levelled('warn').length, 1)
    await rm(join(folder.path, 'key-x.xml'))
    await passing(clock, [keeping], HOUR)
    assert.equal(keeping.status.isLate(), false)
  })
})
