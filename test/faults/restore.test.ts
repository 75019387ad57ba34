import assert from 'node:assert/strict'
import { readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import { pino } from 'pino'
import { testSettings } from '../../lab/server.ts'
import { temporaryFolder } from '../../lab/temporary.ts'
import { withAdvice } from '../../src/cli/advice.ts'
import { runCommand } from '../../src/cli/program.ts'
import { systemClock } from '../../src/clock.ts'
import type { Config } from '../../src/config/schema.ts'
import { witnessPlace } from '../../src/config/witness.ts'
import { openDatabase, sqlitePath } from '../../src/database/database.ts'
import type { KeyturnError } from '../../src/errors.ts'
import { GENERATION_MAX } from '../../src/ring/limits.ts'
import { startServer } from '../../src/server/server.ts'
import type { WitnessRecord } from '../../src/witness/witness.ts'
import { parseWitness, witnessText } from '../../src/witness/witness-text.ts'
import type { Row } from '../cli/keyturn.ts'
import { DATABASES } from '../support/databases.ts'
import { skipRedis, startRedis } from '../support/redis.ts'
import { backUp } from '../support/restore.ts'

const log = pino({ level: 'silent' })

/** A deployment whose servers start and stop within this process. */
async function deployment(settings: Readonly<Record<string, unknown>> = {}) {
  const folder = await temporaryFolder()
  const config = await testSettings(folder.path, {
    // Nobody waits long for other nodes, which there are none of.
    rotation: { refreshInterval: '1s', maxRingAge: '10m' },
    ...settings,
  })
  const run = async (...args: string[]) => {
    const [out, err]: [string[], string[]] = [[], []]
    const status = await runCommand(['--config', join(folder.path, 'keyturn.yaml'), ...args], {
      env: {},
      clock: systemClock,
      stdin: Readable.from([]),
      colors: false,
      print: (text) => out.push(text),
      warn: (text) => err.push(text),
    })
    return { status, out: out.join('\n'), err: err.join('\n') }
  }
  const json = async <T = Row[]>(...args: string[]): Promise<T> => {
    const { status, out, err } = await run(...args, '--json')
    assert.equal(status, 0, err)
    return JSON.parse(out)
  }
  const keys = () => json('keys', 'list')
  return {
    folder: folder.path,
    config,
    run,
    json,
    keys,
    kidOf: async (generation: number, ring = 'sig/RS256') => {
      const found = (await keys()).find((row) => row.ring === ring && row.generation === generation)
      assert.ok(found, `ring ${ring} has no generation ${generation}`)
      return found.kid
    },
    phaseOf: async (kid: string) => (await keys()).find((row) => row.kid === kid)?.phase,
    /** Starts and stops: what a start would refuse, it refuses. */
    start: async () => (await startServer(config, { log })).close(),
    [Symbol.asyncDispose]: folder.remove,
  }
}

/** A key was revoked after the backup that is in the database again. @returns the kid of the key */
async function restoreOverRevocation(own: Awaited<ReturnType<typeof deployment>>): Promise<string> {
  await own.start()
  const backup = await backUp(own.config)
  const kid = await own.kidOf(1)
  await own.json('keys', 'revoke', kid)
  await own.start()
  await backup.restore()
  return kid
}

function witnessFile(config: Config): string {
  const place = witnessPlace(config)
  assert.equal(place.type, 'file')
  return place.type === 'file' ? place.path : ''
}

const PostgreSQL = DATABASES.find(({ name }) => name === 'PostgreSQL')
const OUTDATED = { code: 'store_outdated' }

for (const { name, skip, create } of DATABASES) {
  describe(`a database restored from a backup, on ${name}`, { skip }, () => {
    const test = (
      sentence: string,
      body: (own: Awaited<ReturnType<typeof deployment>>) => Promise<void>,
    ) =>
      it(sentence, async () => {
        await using database = await create()
        await using own = await deployment({ database: { url: database.url, connections: 4 } })
        await body(own)
      })

    test('that is older than a revocation is refused, and nothing is made', async (own) => {
      await restoreOverRevocation(own)
      const before = await own.keys()
      await assert.rejects(own.start(), (error: KeyturnError) => {
        assert.equal(error.code, 'store_outdated')
        assert.match(
          error.message,
          /it lacks 1 revocation, 1 other event, generation 3 of ring sig\/RS256/,
        )
        const told = withAdvice(error)
        for (const way of ['restore check', 'restore apply', 'restore accept --reason', 'stop']) {
          assert.ok(told.includes(way), way)
        }
        return true
      })
      assert.deepEqual(await own.keys(), before)
    })

    test('goes on with what is applied: the key is revoked, and its generation is not used again', async (own) => {
      await own.start()
      const backup = await backUp(own.config)
      const kid = await own.kidOf(1)
      await own.json('keys', 'revoke', kid)
      const lost = await own.kidOf(3)
      await own.start()
      await backup.restore()

      const listed = await own.run('keys', 'list')
      assert.match(
        listed.err,
        /older than the witness, so that no server starts with it.* 1 revocation.*restore check/,
      )
      const checked = await own.run('restore', 'check')
      assert.equal(checked.status, 1)
      assert.ok(checked.out.includes(kid), 'it is not said which key would be trusted again')
      const preview = await own.run('restore', 'apply', '--dry-run')
      assert.match(preview.out, /Nothing was done[\s\S]*Applied {2}2 events\nRevoked {2}/)
      await assert.rejects(own.start(), OUTDATED)
      const applied = await own.run('restore', 'apply')
      assert.equal(applied.status, 0, applied.err)
      assert.ok(applied.out.includes(`Revoked  ${kid}`))

      await own.start()
      assert.equal(await own.phaseOf(kid), 'revoked')
      const ring = (await own.keys()).filter((row) => row.ring === 'sig/RS256')
      assert.deepEqual(
        ring.map((row) => row.generation),
        [1, 2, 4],
      )
      assert.ok(ring.every((row) => row.kid !== lost))
      const whole = await own.run('restore', 'check')
      assert.equal(whole.status, 0)
      assert.match(
        whole.out,
        /^Recorded at .*: lost keys of ring sig\/RS256, no generation up to 3 /,
      )
      assert.doesNotMatch(whole.out, /Accepted/, 'nobody accepted the older key store')
      const { out } = await own.run('keys', 'events')
      assert.match(out, / - +- +lost keys of ring sig\/RS256, no generation up to 3 is used again/)
    })

    test('goes on as it is where that is accepted, which is recorded with who and why', async (own) => {
      const kid = await restoreOverRevocation(own)

      assert.equal((await own.run('restore', 'accept')).status, 2, 'no reason was asked for')
      const reason = 'the revocation was a mistake'
      const accept = ['restore', 'accept', '--actor', 'ada', '--reason', reason]
      const preview = await own.run(...accept, '--dry-run')
      assert.match(preview.out, /Nothing was done[\s\S]*Given up 2 events\nTrusted {2}/)
      await assert.rejects(own.start(), OUTDATED)
      const accepted = await own.run(...accept)
      assert.equal(accepted.status, 0, accepted.err)
      assert.ok(accepted.out.includes(`Trusted  ${kid}`))

      await own.start()
      assert.equal(await own.phaseOf(kid), 'active')
      const checked = await own.run('restore', 'check')
      assert.equal(checked.status, 0)
      assert.match(checked.out, /Accepted at .* by ada: the revocation was a mistake/)
      // The lost generation stays lost: the next key is another.
      await own.json('keys', 'revoke', kid)
      assert.ok(await own.kidOf(4))
      const generations = (await own.keys()).map((row) => [row.ring, row.generation].join())
      assert.ok(!generations.includes('sig/RS256,3'), generations.join(' '))
    })
  })
}

describe('a start after a restore', () => {
  it('is refused where only a revocation of all keys before an instant is missing', async () => {
    await using own = await deployment()
    await own.start()
    const backup = await backUp(own.config)
    // It revokes no key at all, and is missed like any other.
    const args = ['--ring', 'sig/ES256', '--created-before', '2020-01-01T00:00:00Z']
    await own.json('keys', 'revoke', ...args)
    await own.start()
    await backup.restore()
    await assert.rejects(own.start(), /it lacks 1 revocation\. /)
    assert.equal((await own.run('restore', 'apply')).status, 0)
    await own.start()
  })

  it('is refused where only a key is missing, and its generation stays unused', async () => {
    await using own = await deployment()
    await own.start()
    const lost = await own.kidOf(2, 'sig/ES256')
    await withDatabase(own.config, (database) =>
      database.query(`DELETE FROM ring_key WHERE id = '${lost}'`),
    )
    await assert.rejects(
      own.start(),
      /it lacks generation 2 of ring sig\/ES256 \(its newest is 1\)/,
    )
    assert.equal((await own.run('restore', 'apply')).status, 0)
    await own.start()
    const ring = (await own.keys()).filter((row) => row.ring === 'sig/ES256')
    assert.deepEqual(
      ring.map((row) => row.generation),
      [1, 3],
    )
  })

  it('is refused where revocations were deleted and their keys are there', async () => {
    await using own = await deployment()
    await own.start()
    const kid = await own.kidOf(1)
    await own.json('keys', 'revoke', kid)
    await own.start()
    await withDatabase(own.config, (database) =>
      database.query("DELETE FROM key_event WHERE type = 'revoke'"),
    )
    await assert.rejects(own.start(), OUTDATED)
    assert.equal((await own.run('restore', 'apply')).status, 0)
    await own.start()
    assert.equal(await own.phaseOf(kid), 'revoked')
  })

  it('is refused where a directory of keys was restored', async () => {
    const elsewhere = await temporaryFolder()
    await using own = await deployment({
      keyStore: { type: 'file', path: join(elsewhere.path, 'ring') },
    })
    await own.start()
    const backup = await backUp(own.config)
    const kid = await own.kidOf(2, 'cookie')
    await own.json('keys', 'revoke', kid)
    await own.start()
    await backup.restore()
    await assert.rejects(own.start(), OUTDATED)
    assert.equal((await own.run('restore', 'apply')).status, 0)
    await own.start()
    assert.equal(await own.phaseOf(kid), 'revoked')
    await elsewhere.remove()
  })

  it('is refused on an empty database, and once that is accepted begins with unused generations', async () => {
    await using own = await deployment()
    await own.start()
    await own.start()
    const path = sqlitePath(own.config.database.url)
    for (const end of ['', '-wal', '-shm']) await rm(`${path}${end}`, { force: true })
    await assert.rejects(own.start(), /generation 2 of ring sig\/RS256 \(it has none\)/)
    const reason = 'the disk was lost and there is no backup'
    assert.equal((await own.run('restore', 'accept', '--reason', reason)).status, 0)
    await own.start()
    const generations = (await own.keys()).map((row) => row.generation)
    assert.deepEqual([...new Set(generations)], [3, 4])
  })

  it('with a witness that was cut off is an error, and removing it begins another with a warning', async () => {
    await using own = await deployment()
    await own.start()
    const path = witnessFile(own.config)
    await truncate(path, (await stat(path)).size / 2)
    const before = await readFile(path, 'utf8')
    await assert.rejects(own.start(), { code: 'witness_unreadable' })
    assert.equal((await own.run('restore', 'check')).status, 1)
    assert.equal(await readFile(path, 'utf8'), before)

    await rm(path)
    const lines = await linesOfStart(own.config)
    assert.match(lines, /cannot tell whether the key store is older than it was/)
    assert.doesNotMatch(await linesOfStart(own.config), /cannot tell/)
  })

  it('with a witness that cannot be written is ready and degraded', async () => {
    await using own = await deployment({ rotation: { witness: '/proc/witness.json' } })
    const server = await startServer(own.config, { log })
    try {
      const { ok, degraded, checks } = await server.readiness()
      assert.deepEqual([ok, degraded], [true, true])
      assert.match(checks.witness?.detail ?? '', /Cannot write the witness \/proc\/witness\.json/)
      for (let turn = 0; turn < 10; turn += 1) {
        const turned = server.issuers[0].scheduler.runOnce()
        assert.equal((await server.readiness()).degraded, true, 'also while it looks again')
        await turned
      }
    } finally {
      await server.close()
    }
  })

  it('without a witness says at each start that nobody can tell', async () => {
    await using own = await deployment({ rotation: { witness: 'none' } })
    await own.start()
    assert.match(
      await linesOfStart(own.config),
      /No witness outside the database remembers revocations/,
    )
    const checked = await own.run('restore', 'check')
    assert.equal(checked.status, 1)
    assert.match(checked.err, /^There is no witness, because rotation\.witness is none/)
  })

  it('keys are not turned by a command either, and a key that leaked is still revoked', async () => {
    await using own = await deployment()
    await own.start()
    const backup = await backUp(own.config)
    await own.json('keys', 'revoke', await own.kidOf(1))
    await own.start()
    await backup.restore()
    const rotate = await own.run('keys', 'rotate', 'sig/ES256')
    assert.equal(rotate.status, 1)
    assert.match(rotate.err, /keyturn restore apply/)
    const leaked = await own.kidOf(1, 'sig/ES256')
    const revoke = await own.run('keys', 'revoke', leaked)
    assert.equal(revoke.status, 1)
    assert.match(revoke.err, new RegExp(`Revoked: ${leaked}`))
    assert.equal(await own.phaseOf(leaked), 'revoked')
  })
})

describe('machines that have a witness each', () => {
  /** Another machine of the same deployment: the same database and keys, a witness of its own. */
  async function machineBeside(own: Awaited<ReturnType<typeof deployment>>, witness: string) {
    return deployment({
      issuer: own.config.issuer,
      database: { url: own.config.database.url },
      seal: { file: own.config.seal.file },
      rotation: { witness, refreshInterval: '1s', maxRingAge: '10m' },
    })
  }

  for (const [way, args] of [
    ['applied', ['apply']],
    ['accepted', ['accept', '--reason', 'a drill']],
  ] as const) {
    it(`need what is ${way} once, wherever that is`, async () => {
      await using folder = await temporaryFolder()
      await using own = await deployment()
      await using other = await machineBeside(own, join(folder.path, 'witness.json'))
      await own.start()
      await other.start()
      const backup = await backUp(own.config)
      await own.json('keys', 'revoke', await own.kidOf(1))
      await other.start()
      await own.start()
      await backup.restore()
      await assert.rejects(own.start(), OUTDATED)
      await assert.rejects(other.start(), OUTDATED)
      const done = await own.run('restore', ...args)
      assert.equal(done.status, 0, done.err)
      await other.start()
      await own.start()
    })
  }

  it('are told by the one that saw more', async () => {
    await using folder = await temporaryFolder()
    await using own = await deployment()
    await using other = await machineBeside(own, join(folder.path, 'witness.json'))
    await own.start()
    await other.start()
    const backup = await backUp(own.config)
    const kid = await own.kidOf(2, 'sig/ES256')
    // The other machine's servers are stopped, and it hears nothing of this.
    await own.json('keys', 'revoke', kid)
    await backup.restore()
    await assert.rejects(own.start(), OUTDATED)
    await other.start()
    assert.equal((await own.run('restore', 'apply')).status, 0)
    await other.start()
    assert.equal(await other.phaseOf(kid), 'revoked')
  })
})

describe('a database that is set back while a server runs', { skip: PostgreSQL?.skip }, () => {
  it('gets back what that server knows, for which another start waits', async () => {
    assert.ok(PostgreSQL)
    await using database = await PostgreSQL.create()
    const shared = { url: database.url, connections: 4 }
    const rotation = { refreshInterval: '3s', maxRingAge: '10m' }
    await using own = await deployment({ database: shared, rotation })
    const seal = { file: own.config.seal.file }
    const { issuer } = own.config
    await using other = await deployment({ issuer, database: shared, rotation, seal })
    await own.start()
    const backup = await backUp(own.config)
    const kid = await own.kidOf(1)
    await own.json('keys', 'revoke', kid)
    const running = await startServer(own.config, { log })
    try {
      await backup.restore()
      await other.start()
      assert.equal(await own.phaseOf(kid), 'revoked')
    } finally {
      await running.close()
    }
  })

  it('gets back a revocation that only the witness remembers', async () => {
    assert.ok(PostgreSQL)
    await using database = await PostgreSQL.create()
    await using own = await deployment({ database: { url: database.url, connections: 4 } })
    const running = await startServer(own.config, { log })
    try {
      const kid = await own.kidOf(1)
      await using stopped = await deployment({
        issuer: own.config.issuer,
        database: { url: database.url, connections: 4 },
        seal: { file: own.config.seal.file },
      })
      await stopped.json('keys', 'revoke', kid)
      // Before the running server has looked, or after: it knows by the witness or by itself.
      await withDatabase(own.config, (source) =>
        source.query("DELETE FROM key_event WHERE type = 'revoke'"),
      )
      await running.issuers[0].scheduler.runOnce()
      await running.issuers[0].scheduler.runOnce()
      assert.equal(await own.phaseOf(kid), 'revoked')
    } finally {
      await running.close()
    }
  })
})

describe('a witness in Redis', { skip: skipRedis }, () => {
  it('refuses an older store at every node, and once Redis has lost it nobody can tell', async () => {
    await using redis = await startRedis()
    const settings = { redis: { url: redis.url }, rotation: { witness: 'redis' } }
    await using own = await deployment(settings)
    await own.start()
    const backup = await backUp(own.config)
    await own.json('keys', 'revoke', await own.kidOf(1))
    await own.start()
    await backup.restore()
    await assert.rejects(own.start(), OUTDATED)
    await redis.client().flushall()
    assert.match(await linesOfStart(own.config), /cannot tell whether the key store is older/)
  })

  it('that is away is no reason not to start, and is told', async () => {
    await using redis = await startRedis()
    const settings = {
      redis: { url: redis.url, timeout: '1s' },
      rotation: { witness: 'redis', refreshInterval: '1s', maxRingAge: '10m' },
    }
    await using own = await deployment(settings)
    await own.start()
    await redis.stop()
    const server = await startServer(own.config, { log })
    try {
      const { ok, checks } = await server.readiness()
      assert.equal(ok, true)
      assert.equal(checks.witness?.degraded, true)
      assert.match(checks.witness?.detail ?? '', /Cannot (read|write) the witness/)
    } finally {
      await server.close()
    }
  })
})

/** What a start logs; the server is stopped again. */
async function linesOfStart(config: Config): Promise<string> {
  const lines: string[] = []
  const own = pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) })
  await startServer(config, { log: own }).then((server) => server.close())
  return lines.join('')
}

async function withDatabase<T>(
  { database }: Config,
  work: (source: Awaited<ReturnType<typeof openDatabase>>) => Promise<T>,
): Promise<T> {
  const source = await openDatabase(database)
  try {
    return await work(source)
  } finally {
    await source.destroy()
  }
}

describe('somebody who can write the witness', () => {
  /** Edits it as an attacker would who knows its format: the digest fits again. */
  async function edit(path: string, change: (record: WitnessRecord) => WitnessRecord) {
    const record = parseWitness(await readFile(path, 'utf8'), path)
    await writeFile(path, witnessText(change(record)))
  }
  const forgeries: readonly (readonly [string, (record: WitnessRecord) => WitnessRecord])[] = [
    ['uses up no generations', (r) => ({ ...r, generations: { 'sig/RS256': GENERATION_MAX } })],
    ['hides no revocation', (r) => ({ ...r, events: [] })],
    ['takes no loss upon others', (r) => ({ ...r, lost: { 'sig/RS256': 9 } })],
    ['frees it from no deployment', (r) => ({ ...r, deployment: null, mac: null })],
    ['gives it to no other', (r) => ({ ...r, deployment: 'A'.repeat(43) })],
  ]
  for (const [sentence, change] of forgeries) {
    it(sentence, async () => {
      await using own = await deployment()
      await own.start()
      await own.json('keys', 'revoke', await own.kidOf(1))
      const server = await startServer(own.config, { log })
      const before = await own.keys()
      try {
        await edit(witnessFile(own.config), change)
        await server.issuers[0].scheduler.runOnce()
        await own.run('keys', 'rotate', 'sig/RS256')
        await server.issuers[0].scheduler.runOnce()
        const { ok, checks } = await server.readiness()
        assert.deepEqual([ok, checks.witness?.degraded], [true, true], checks.witness?.detail)
      } finally {
        await server.close()
      }
      assert.deepEqual(await own.keys(), before)
      await assert.rejects(own.start(), /The witness \(rotation\.witness\)/)
    })
  }

  it('adds no event that revokes anything', async () => {
    await using own = await deployment()
    await own.start()
    const forged = { id: `revoke/${'A'.repeat(43)}`, ring: 'sig/RS256', type: 'revoke', at: 1 }
    await edit(witnessFile(own.config), (record) => ({
      ...record,
      events: [{ ...forged, data: 'e30.e30.AAAA' }],
    }))
    await assert.rejects(own.start(), { code: 'witness_unreadable' })
  })
})

describe('a witness of another deployment', () => {
  it('is named, at a start and by commands, and mixed with nothing', async () => {
    await using own = await deployment()
    await own.start()
    await using other = await deployment()
    await other.start()
    const path = witnessFile(own.config)
    const foreign = await readFile(witnessFile(other.config), 'utf8')
    await writeFile(path, foreign)
    await assert.rejects(own.start(), (error: Error & { code: string }) => {
      assert.equal(error.code, 'witness_of_another')
      assert.ok(error.message.includes(other.config.issuer), error.message)
      return true
    })
    const rotate = await own.run('keys', 'rotate', 'sig/RS256')
    assert.match(rotate.err, /belongs to another deployment/)
    assert.match((await own.run('restore', 'accept', '--reason', 'no')).err, /another deployment/)
    assert.equal(await readFile(path, 'utf8'), foreign)
  })

  it('is never begun where the configuration names another issuer for the same keys', async () => {
    await using own = await deployment()
    await own.start()
    await using renamed = await deployment({
      database: { url: own.config.database.url },
      seal: { file: own.config.seal.file },
    })
    assert.notEqual(renamed.config.issuer, own.config.issuer)
    await assert.rejects(renamed.start(), { code: 'issuer_changed' })
  })
})
