import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import { VECTORS, vectorJson, withoutVectors } from '../../lab/vectors.ts'
import { runCommand } from '../../src/cli/program.ts'
import type { Clock } from '../../src/clock.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { keyturnIn, type Row } from './keyturn.ts'

interface Phase {
  readonly phase: string
  readonly now: string
  readonly published: readonly string[]
}

interface Step {
  readonly step: string
  readonly kid: string | null
  readonly at: string
  readonly reason: string
}

const KEYS = join(VECTORS, 'duende/manual/keys')
const secondsOf = (text: string) => Date.parse(text) / 1000

/** Runs commands at given instants in one folder. */
async function atTimes() {
  const cli = await keyturnIn()
  const config = join(cli.path, 'keyturn.yaml')
  const rings = '{ sig/RS256: { manual: true }, sig/ES256: { manual: true }, cookie: {} }'
  await writeFile(config, `rotation: { cryptoperiod: 60d, rings: ${rings} }\n`)
  await writeFile(join(cli.path, 'pfx-password'), 'test-only-pfx-1\n')
  return {
    ...cli,
    password: join(cli.path, 'pfx-password'),
    run: async (now: string, args: readonly string[]) => {
      const clock: Clock = createFakeClock(secondsOf(now))
      const [out, err]: [string[], string[]] = [[], []]
      const status = await runCommand(['--config', config, ...args], {
        env: cli.spawnOptions.env,
        clock,
        stdin: Readable.from(['']),
        colors: false,
        print: (line) => out.push(line),
        warn: (line) => err.push(line),
      })
      return { status, out: out.join('\n'), err: err.join('\n') }
    },
    [Symbol.asyncDispose]: cli[Symbol.asyncDispose],
  }
}

type Cli = Awaited<ReturnType<typeof atTimes>>

async function json<T>(cli: Cli, now: string, args: readonly string[]): Promise<T> {
  const { status, out, err } = await cli.run(now, [...args, '--json'])
  assert.equal(status, 0, err)
  return JSON.parse(out)
}

async function published(cli: Cli, now: string): Promise<readonly string[]> {
  const rows = await json<Row[]>(cli, now, ['keys', 'list'])
  return rows
    .filter(({ phase }) => ['active', 'pre-active', 'retired'].includes(phase))
    .map(({ kid }) => kid)
}

const { entries } = vectorJson<{ entries: { name: string; phases?: Phase[] }[] }>(
  'duende',
  'manifest.json',
)
const phases = entries.find(({ name }) => name === 'manual')?.phases ?? []

/** The four phases of a ring that is rotated by hand, as recorded from IdentityServer. */
const TURNS = [
  { series: 'pfx', ring: 'sig/RS256', old: 'old.pfx', fresh: 'new.pfx', half: 'new.crt' },
  {
    series: 'pem',
    ring: 'sig/ES256',
    old: 'old-ec.pem',
    fresh: 'new-ec.pem',
    half: 'new-ec.pub.pem',
  },
]
/** After 3 hours of the 14 days for which a key is published before it signs. */
const HOURS_LATER = 3 * 3600

describe('a ring that is rotated by hand', { skip: withoutVectors }, () => {
  for (const turn of TURNS) {
    const { series, ring } = turn
    const [alone, announced, switched, gone] = phases.filter(({ phase }) =>
      phase.startsWith(`${series}-`),
    )
    const begin = async () => {
      assert.ok(alone && announced && switched && gone)
      const cli = await atTimes()
      const [oldKid = '', newKid = ''] = announced.published
      const add = (now: string, file: string, kid: string, as: readonly string[]) =>
        cli.run(now, [
          ...['keys', 'add', join(KEYS, file), '--ring', ring, '--kid', kid, '--as', ...as],
          ...['--password-file', cli.password, '--apply'],
        ])
      const stepAt = async (now: string) => {
        const plan = await json<{ manual: (Step & { ring: string })[] }>(cli, now, ['keys', 'plan'])
        return plan.manual.find((step) => step.ring === ring)
      }
      const phasesAt = async (now: string) => {
        const rows = await json<Row[]>(cli, now, ['keys', 'list'])
        return rows.filter((row) => row.ring === ring).map(({ kid, phase }) => `${kid} ${phase}`)
      }
      const early = new Date((secondsOf(announced.now) + HOURS_LATER) * 1000)
      const hoursLater = early.toISOString().replace('.000Z', 'Z')
      assert.equal((await add(alone.now, turn.old, oldKid, ['active'])).status, 0)
      assert.deepEqual(await published(cli, alone.now), alone.published)
      assert.equal((await stepAt(alone.now))?.step, 'add-standby')
      const kids = { oldKid, newKid }
      return { cli, add, stepAt, phasesAt, hoursLater, announced, switched, gone, ...kids }
    }

    it(`goes through the phases of IdentityServer (${series})`, async () => {
      const { cli, add, stepAt, phasesAt, ...at } = await begin()
      await using _folder = cli
      const { announced, switched, gone, hoursLater, oldKid, newKid } = at
      assert.equal((await add(announced.now, turn.fresh, newKid, ['standby'])).status, 0)
      assert.deepEqual(await published(cli, announced.now), announced.published)
      const soon = await json<{ due: { ring: string }[] }>(cli, '2027-06-01T00:00:00Z', [
        ...['keys', 'plan'],
      ])
      assert.ok(!soon.due.some((change) => change.ring === ring), 'nothing turns by itself')

      const refused = await cli.run(hoursLater, ['keys', 'promote', newKid])
      assert.equal(refused.status, 1)
      assert.match(refused.err, /published for 3 h of the 14 d that relying parties need/)
      const step = await stepAt(hoursLater)
      assert.deepEqual([step?.step, step?.kid, step?.at], ['promote', newKid, switched.now])

      assert.equal((await add(switched.now, turn.fresh, newKid, ['active'])).status, 0)
      assert.deepEqual(await phasesAt(switched.now), [`${oldKid} retired`, `${newKid} active`])
      assert.deepEqual(
        (await published(cli, switched.now)).toSorted(),
        switched.published.toSorted(),
      )
      assert.deepEqual(await published(cli, gone.now), gone.published)
    })

    it(`goes through them where the announced key gets its private half later (${series})`, async () => {
      const { cli, add, phasesAt, ...at } = await begin()
      await using _folder = cli
      const { announced, switched, gone, hoursLater, oldKid, newKid } = at
      const end = '2027-01-01T00:00:00Z'
      const halved = ['validation', '--not-after', end]
      assert.equal((await add(announced.now, turn.half, newKid, halved)).status, 0)
      assert.deepEqual(await published(cli, announced.now), announced.published)

      const early = await add(hoursLater, turn.fresh, newKid, ['active'])
      assert.equal(early.status, 1)
      assert.match(
        early.err,
        /^key_too_new: .*published for 3 h of the 14 d that relying parties need/,
      )

      const done = await add(switched.now, turn.fresh, newKid, ['active'])
      assert.equal(done.status, 0, done.err)
      assert.match(done.out, new RegExp(`Relying parties will see 2 keys: .*${newKid} signs`))
      assert.deepEqual(await phasesAt(switched.now), [`${oldKid} retired`, `${newKid} active`])
      assert.deepEqual(
        (await published(cli, switched.now)).toSorted(),
        switched.published.toSorted(),
      )
      assert.deepEqual(await published(cli, gone.now), gone.published)
      const again = await add(switched.now, turn.fresh, newKid, ['active'])
      assert.equal(again.status, 0, again.err)
      assert.equal((await phasesAt(switched.now)).length, 2)
    })
  }

  it('gets no successor by keys rotate', async () => {
    await using cli = await atTimes()
    const now = '2026-06-01T09:00:00Z'
    const key = join(KEYS, 'old-ec.pem')
    assert.equal((await cli.run(now, ['keys', 'add', key, '--as', 'active', '--apply'])).status, 0)
    const { status, err } = await cli.run(now, ['keys', 'rotate', 'sig/ES256'])
    assert.equal(status, 1)
    assert.match(err, /turned by hand.*keys add FILE --as standby/)
  })
})
