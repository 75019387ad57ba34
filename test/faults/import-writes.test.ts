import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { exportJWK, generateKeyPair, type JWK } from 'jose'
import type { DataSource } from 'typeorm'
import { temporaryFolder } from '../../lab/temporary.ts'
import { openDatabase } from '../../src/database/database.ts'
import { keyEventSchema, keySchema } from '../../src/database/tables.ts'
import { DAY, keyturnIn, type Row } from '../cli/keyturn.ts'
import { DATABASES, settingsOf } from '../support/databases.ts'
import { onWrites, type Write } from '../support/writes.ts'

/** An import that is cut off between any two writes: nothing or everything is there, and a repeat completes it. */

type Cli = Awaited<ReturnType<typeof keyturnIn>>

const DIE = join(import.meta.dirname, '../support/die-at-write.ts')

async function jwk(kid: string): Promise<JWK> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  return { ...(await exportJWK(privateKey)), kid, alg: 'ES256' }
}

async function file(cli: Cli, name: string, keys: readonly JWK[]): Promise<string> {
  const path = join(cli.path, name)
  await writeFile(path, JSON.stringify({ keys }))
  return path
}

/**
 * A deployment that signs, and publishes a key of the old system. The import completes that key,
 * adds others, and takes over the signing, so it deletes, inserts and records events.
 */
async function scene(url: string) {
  const cli = await keyturnIn({ KEYTURN_DATABASE__URL: url })
  await cli.withStores(async () => {})
  await cli.makeRings(20 * DAY)
  const [known, other] = [await jwk('known'), await jwk('other')]
  const { d: _, ...half } = known
  const halves = await file(cli, 'half.json', [half])
  await cli.json(['keys', 'add', halves, '--as', 'validation', '--apply'])
  const source = await file(cli, 'all.json', [known, other])
  const args = ['keys', 'import', 'jwks', source, '--signer', 'imported', '--apply']
  const dataSource = await openDatabase(settingsOf({ url }))
  return {
    cli,
    args,
    records: () => recordsIn(dataSource),
    restore: await snapshot(dataSource),
    [Symbol.asyncDispose]: async () => {
      await dataSource.destroy()
      await cli[Symbol.asyncDispose]()
    },
  }
}

type Scene = Awaited<ReturnType<typeof scene>>

/** Every key with its place, and the kinds of all events. */
async function recordsIn(dataSource: DataSource): Promise<string> {
  const keys = await dataSource.getRepository(keySchema).find()
  const events = await dataSource.getRepository(keyEventSchema).find()
  const places = keys.map(({ ring, generation, id }) => `${ring} ${generation} ${id}`)
  return [...places.toSorted(), ...events.map(({ type }) => type).toSorted()].join('\n')
}

/** Asserts that a repeat does what is left to do, and a second repeat nothing. */
async function repeat({ cli, args, records }: Scene): Promise<string> {
  await cli.json(args)
  const whole = await records()
  await cli.json(args)
  assert.equal(await records(), whole)
  const rows = await cli.json<Row[]>(['keys', 'list'])
  const own = rows.filter(({ kid }) => kid === 'known' || kid === 'other')
  const phases = own.map(({ kid, phase }) => `${kid} ${phase}`)
  assert.deepEqual(phases.toSorted(), ['known active', 'other retired'])
  return whole
}

/** The records as they are and as an import makes them. They are brought back. */
async function outcomes(own: Scene): Promise<{ readonly before: string; readonly whole: string }> {
  const before = await own.records()
  const whole = await repeat(own)
  await own.restore()
  return { before, whole }
}

/** @returns what brings the records back as they are now */
async function snapshot(dataSource: DataSource) {
  const tables = [keySchema, keyEventSchema] as const
  const rows = await Promise.all(tables.map((schema) => dataSource.getRepository(schema).find()))
  return async () => {
    for (const [at, schema] of tables.entries()) {
      await dataSource.createQueryBuilder().delete().from(schema).execute()
      // The rows are those of the same table.
      const own = rows[at] as never[]
      if (own.length > 0) await dataSource.getRepository(schema).insert(own)
    }
  }
}

/** Runs a command that dies once it has sent a write. @returns its status; null if it died */
async function dying(cli: Cli, args: readonly string[], at: number): Promise<number | null> {
  const child = spawn(process.execPath, ['--import', DIE, ...cli.command(args)], {
    ...cli.spawnOptions,
    env: { ...cli.spawnOptions.env, DIE_AT: String(at) },
    stdio: 'ignore',
  })
  return new Promise((resolve) => child.once('close', resolve))
}

/** Writes at which processes die: old keys are deleted, new ones are there, the end is asked for. */
const MOMENTS = [2, 3, 5]

describe('an import whose process is killed', { concurrency: true }, () => {
  for (const database of DATABASES) {
    const { skip, name } = database
    it(`has written nothing or everything: ${name}`, { skip }, async () => {
      await using fresh = await database.create()
      await using own = await scene(fresh.url)
      const { cli, args, records, restore } = own
      const { before, whole } = await outcomes(own)
      for (const at of MOMENTS) {
        assert.equal(await dying(cli, args, at), null, `it writes fewer than ${at} times`)
        const after = await records()
        assert.ok(after === before || after === whole, after)
        assert.equal(await repeat(own), whole)
        await restore()
      }
    })
  }
})

/**
 * When a write fails, and whether all that follow fail, too. SQLite has no answer to lose; servers
 * lose it, which is the harder case.
 */
const failureOf = (name: string) =>
  name === 'SQLite'
    ? ({ moment: 'before', lasts: false } as const)
    : ({ moment: 'after', lasts: true } as const)

/** Fails writes from one of a number on. */
function failingAt(at: number, lasts: boolean) {
  let done = 0
  return {
    hook: (write: Write) => {
      done++
      if (lasts ? done >= at : done === at) write.fail()
    },
    isReached: () => done >= at,
  }
}

// One after another, because the hook is around the drivers of this whole process.
describe('an import into a store that fails at one of its writes', () => {
  for (const database of DATABASES) {
    const { skip, name } = database
    const { moment, lasts } = failureOf(name)
    it(`has written nothing or everything, and says so: ${name}`, { skip }, async () => {
      await using fresh = await database.create()
      await using own = await scene(fresh.url)
      const { cli, args, records, restore } = own
      const { before, whole } = await outcomes(own)
      let isReached = true
      for (let at = 1; isReached; at++) {
        const failing = failingAt(at, lasts)
        const undo = onWrites({ [moment]: failing.hook })
        const { status, err } = await cli.run(args).finally(undo)
        isReached = failing.isReached()
        const after = await records()
        const what = `${moment} ${at}, lasts: ${lasts}: ${err}`
        assert.ok(after === before || after === whole, `${what}\n${after}`)
        if (!isReached) assert.deepEqual([status, at > 3], [0, true], what)
        else if (lasts || status !== 0) {
          assert.equal(status, 1, what)
          assert.match(err, /^(store_unavailable|order_in_doubt): [^\n]+\n$/, what)
        }
        if (status === 0) assert.equal(after, whole, what)
        // What is known to have failed has done nothing.
        if (err.startsWith('store_unavailable')) assert.equal(after, before, what)
        if (at === 1 || after === whole) assert.equal(await repeat(own), whole, what)
        await restore()
      }
    })
  }
})

describe('an import into no database', () => {
  it('that is killed while it makes one is completed by a repeat', async () => {
    // Migrations, the secret of the deployment, and the keys themselves.
    for (const at of [1, 40, 71, 73]) {
      await using folder = await temporaryFolder()
      const url = `sqlite:${join(folder.path, 'own/keyturn.db')}`
      await using cli = await keyturnIn({ KEYTURN_DATABASE__URL: url })
      const source = await file(cli, 'jwks.json', [await jwk('one'), await jwk('two')])
      const args = ['keys', 'import', 'jwks', source, '--next', 'two', '--apply']
      assert.equal(await dying(cli, args, at), null, `it writes fewer than ${at} times`)
      await cli.json(args)
      const rows = await cli.json<Row[]>(['keys', 'list'])
      const phases = rows.map(({ kid, phase }) => `${kid} ${phase}`)
      assert.deepEqual(phases, ['one active', 'two pre-active'], `after write ${at}`)
    }
  })
})
