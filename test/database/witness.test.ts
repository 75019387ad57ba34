import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import type { Redis } from 'ioredis'
import { temporaryFolder } from '../../lab/temporary.ts'
import { openRedis } from '../../src/redis/connection.ts'
import { createRedisWitness } from '../../src/redis/redis-witness.ts'
import { createFileWitness } from '../../src/witness/file-witness.ts'
import { createMemoryWitness } from '../../src/witness/memory-witness.ts'
import { witnessed } from '../../src/witness/witness.ts'
import { testWitness } from '../conformance/witness.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { redisPlaces, redisSettings, skipRedis } from '../support/redis.ts'
import { revocation, seen } from '../support/witness.ts'

testWitness('memory', async () => {
  const witness = createMemoryWitness()
  return { witness, other: witness, close: async () => {} }
})

testWitness('file', async () => {
  const folder = await temporaryFolder()
  const path = join(folder.path, 'deep', 'witness.json')
  return {
    witness: createFileWitness(path),
    other: createFileWitness(path),
    text: { read: () => readFile(path, 'utf8'), write: (text) => writeFile(path, text) },
    close: folder.remove,
  }
})

describe('witnesses in Redis', { skip: skipRedis }, () => {
  const { places } = redisPlaces()
  for (const [name, where] of Object.entries(places)) {
    const open = (issuer: string, prefix: string) => {
      const redis = openRedis(redisSettings({ ...where(), prefix }), createFakeClock())
      return { redis, witness: createRedisWitness(redis, issuer) }
    }
    const issuer = 'https://id.example.com'
    let count = 0

    testWitness(name, async () => {
      count += 1
      const prefix = `${count}:`
      const [one, two] = [open(issuer, prefix), open(issuer, prefix)]
      const { client } = one.redis
      const key = /the key (\S+)/.exec(one.witness.where)?.[1] ?? ''
      return {
        witness: one.witness,
        other: two.witness,
        text: {
          read: async () => (await (client as Redis).get(key)) ?? '',
          write: async (text) => void (await (client as Redis).set(key, text)),
        },
        close: async () => {
          one.redis.close()
          two.redis.close()
        },
      }
    })

    it(`of two issuers on ${name} are two`, async () => {
      const prefix = 'issuers:'
      const [one, two] = [open(issuer, prefix), open('https://other.example.com', prefix)]
      try {
        await one.witness.update((before) =>
          witnessed(before, seen({ generations: { cookie: 4 } })),
        )
        assert.equal(await two.witness.read(), undefined)
      } finally {
        one.redis.close()
        two.redis.close()
      }
    })
  }
})

describe('a witness in a file', () => {
  it('is for its owner alone, in a folder that tells backup programs to leave it out', async () => {
    await using folder = await temporaryFolder()
    const path = join(folder.path, 'not-in-backups', 'witness.json')
    await createFileWitness(path).update((before) => before)
    assert.equal((await stat(path)).mode & 0o777, 0o600)
    assert.equal((await stat(dirname(path))).mode & 0o777, 0o700)
    const tag = await readFile(join(dirname(path), 'CACHEDIR.TAG'), 'utf8')
    assert.match(tag, /^Signature: 8a477f597d28d172789f06886806bc55\n/)
    assert.deepEqual((await readdir(dirname(path))).sort(), ['CACHEDIR.TAG', 'witness.json'])
  })

  it('leaves a folder that was there before as it was', async () => {
    await using folder = await temporaryFolder()
    const own = join(folder.path, 'own')
    await mkdir(own)
    await createFileWitness(join(own, 'witness.json')).update((before) => before)
    assert.deepEqual(await readdir(own), ['witness.json'])
  })

  it('is refused where its path is a directory', async () => {
    await using folder = await temporaryFolder()
    const message = /Cannot read the witness .*: \/[^ ]* is a directory$/
    await assert.rejects(createFileWitness(folder.path).read(), message)
  })

  it('loses nothing of what several processes add at once', async () => {
    await using folder = await temporaryFolder()
    const path = join(folder.path, 'witness.json')
    const script = `
      import { createFileWitness } from '${import.meta.resolve('../../src/witness/file-witness.ts')}'
      import { witnessed } from '${import.meta.resolve('../../src/witness/witness.ts')}'
      import { revocation, seen } from '${import.meta.resolve('../support/witness.ts')}'
      const witness = createFileWitness(process.argv[1])
      for (let i = 0; i < 20; i++) {
        const events = [revocation(process.argv[2] + i)]
        await witness.update((before) => witnessed(before, seen({ events })))
      }`
    const run = promisify(execFile)
    await Promise.all(
      ['a', 'b', 'c'].map((name) =>
        run(process.execPath, ['--input-type=module', '--eval', script, path, name]),
      ),
    )
    assert.equal((await createFileWitness(path).read())?.events.length, 60)
  })

  it('takes over from a process that crashed while it wrote', async () => {
    await using folder = await temporaryFolder()
    const path = join(folder.path, 'witness.json')
    await writeFile(`${path}.lock`, 'a process that is no more')
    await writeFile(`${path}.1234.draft`, '{"keyturnWit')
    const witness = createFileWitness(path)
    await Promise.all([
      witness.update((before) => witnessed(before, seen({ events: [revocation('a')] }))),
      createFileWitness(path).update((before) =>
        witnessed(before, seen({ events: [revocation('b')] })),
      ),
    ])
    assert.equal((await witness.read())?.events.length, 2)
    assert.ok(!(await readdir(folder.path)).includes('witness.json.lock'))
  })

  it('that cannot be written says so with a hint', async () => {
    const witness = createFileWitness('/proc/witness.json')
    assert.equal(await witness.read(), undefined)
    await assert.rejects(
      witness.update((before) => before),
      {
        code: 'store_unavailable',
        message: /^Cannot write the witness \/proc\/witness\.json \(rotation\.witness\): /,
      },
    )
  })
})
