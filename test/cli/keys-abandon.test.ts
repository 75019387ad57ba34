import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { systemClock } from '../../src/clock.ts'
import { serializedKey as anyKey } from '../../src/conformance/records.ts'
import { abandonLosses } from '../../src/ring/abandon.ts'
import { openDeployment } from '../../src/ring/deployment.ts'
import type { KeyStore } from '../../src/ring/key-store.ts'
import { createMemoryKeyStore } from '../../src/ring/memory-key-store.ts'
import { createSealer } from '../../src/ring/seal.ts'
import { protectorOf } from '../../src/server/stores.ts'
import { DAY, keyturnIn, kidOf, phasesOf, type Row } from './keyturn.ts'

const ABANDON = ['keys', 'abandon', '--lost-kek']

interface Outcome {
  readonly done: boolean
  readonly secretLost: boolean
  readonly revoked: readonly { readonly kid: string; readonly generation: number }[]
}

const kek = () => ({ kty: 'oct', k: randomBytes(32).toString('base64url') })

/** What is lost, and how. The secret of the deployment always is. */
const LOSSES: readonly [string, (cli: Cli) => Promise<void>][] = [
  ['no key', ({ path }) => rm(`${path}/kek.jwks`)],
  [
    'every key, but not the secret,',
    async ({ path, withStores }) => {
      const file = `${path}/kek.jwks`
      const before = await readFile(file, 'utf8')
      const { keys } = JSON.parse(before)
      await writeFile(file, JSON.stringify({ keys: [kek(), ...keys] }))
      await withStores((stores) => stores.openSealer())
      await writeFile(file, before)
    },
  ],
]

type Cli = Awaited<ReturnType<typeof keyturnIn>>

/** A store that breaks down at a write, as if the process had been killed. */
function cutOff(store: KeyStore, writes: number): KeyStore {
  let left = writes
  const write = () => {
    if (left === 0) throw new Error('cut off')
    left -= 1
  }
  return {
    ...store,
    addKey: async (key) => {
      write()
      return store.addKey(key)
    },
    addEvents: async (events) => {
      write()
      return store.addEvents(events)
    },
  }
}

describe('keys abandon --lost-kek', () => {
  it('tells first what it would do, and changes nothing', async () => {
    await using cli = await keyturnIn()
    await cli.makeRings(DAY)
    await rm(`${cli.path}/kek.jwks`)
    const before = await cli.withStores((stores) => stores.keys.load())
    const answer = await cli.run(ABANDON)
    assert.equal(answer.status, 0, answer.err)
    assert.match(answer.out, /^Would revoke [\s\S]*\(sig\/ES256 1\)/)
    assert.match(answer.out, /refused by relying parties as soon as they fetch the JWKS again/)
    assert.match(answer.out, /FAILS FOR/)
    assert.match(answer.out, /Everybody has to sign in again/)
    assert.match(answer.out, /Nothing was done. To do it: keyturn keys abandon --lost-kek --yes/)
    assert.deepEqual(await cli.withStores((stores) => stores.keys.load()), before)
    await assert.rejects(readFile(`${cli.path}/kek.jwks`), { code: 'ENOENT' })
  })

  it('revokes every key, and each ring signs with a new one at once', async () => {
    await using cli = await keyturnIn()
    await cli.makeRings(DAY)
    const old = await cli.json(['keys', 'list'])
    await rm(`${cli.path}/kek.jwks`)
    const outcome = await cli.json<Outcome>([...ABANDON, '--yes', '--reason', 'the disk burnt'])
    assert.equal(outcome.done, true)
    assert.equal(outcome.secretLost, true)
    assert.deepEqual(outcome.revoked.map(({ kid }) => kid).toSorted(), old.map(kid).toSorted())
    const rows = await cli.json(['keys', 'list'])
    for (const ring of ['sig/ES256', 'sig/RS256', 'cookie']) {
      const phases = ['1 revoked', '2 revoked', '3 active', '4 pre-active']
      assert.deepEqual(phasesOf(rows, ring), phases, ring)
    }
    const events = await cli.json<{ reason: string; type: string }[]>(['keys', 'events'])
    assert.ok(events.some(({ type, reason }) => type === 'revoke' && reason === 'the disk burnt'))
    const due = await cli.json<{ due: object[] }>(['keys', 'plan'])
    assert.deepEqual(due.due, [])
  })

  it('keeps people and clients, and names the clients whose secret was sealed', async () => {
    await using cli = await keyturnIn()
    await cli.makeRings(DAY)
    await cli.json(['accounts', 'add', 'ada'])
    const jwt = ['--file', '-']
    const added = { client_id: 'jwt', token_endpoint_auth_method: 'client_secret_jwt' }
    await cli.json(['clients', 'add', '--id', 'web', '--redirect-uri', 'https://a.example/'])
    const input = JSON.stringify({ ...added, redirect_uris: ['https://a.example/'] })
    await cli.json(['clients', 'add', ...jwt], input)
    await rm(`${cli.path}/kek.jwks`)
    const outcome = await cli.json<{ lostClientSecrets: string[] }>([...ABANDON, '--yes'])
    assert.deepEqual(outcome.lostClientSecrets, ['jwt'])
    const people = await cli.json<{ username: string }[]>(['accounts', 'list'])
    assert.deepEqual(
      people.map(({ username }) => username),
      ['ada'],
    )
    const clients = await cli.json<{ id: string }[]>(['clients', 'list'])
    assert.deepEqual(
      clients.map(({ id }) => id),
      ['jwt', 'web'],
    )
  })

  for (const [sentence, loses] of LOSSES) {
    it(`can be done again wherever it was cut off, where ${sentence} opened`, async () => {
      for (const cutAt of [0, 1, 2, 7, Number.POSITIVE_INFINITY]) {
        await using cli = await keyturnIn()
        await cli.makeRings(DAY)
        await cli.json(['accounts', 'add', 'ada'])
        await cli.json(['clients', 'add', '--id', 'web', '--redirect-uri', 'https://a.example/'])
        await cli.json(['keys', 'revoke', kidOf(await cli.json(['keys', 'list']), 2, 'sig/RS256')])
        const old = await cli.json(['keys', 'list'])
        await loses(cli)

        const abandoned = cli.withStores((stores) =>
          abandonLosses(
            {
              issuer: stores.issuer,
              store: cutOff(stores.keys, cutAt),
              protector: protectorOf(cli.config),
              clock: systemClock,
              authenticateAnew: stores.authenticateAnew,
            },
            { now: systemClock.now(), actor: 'ada', reason: 'the disk burnt' },
          ),
        )
        if (cutAt < Number.POSITIVE_INFINITY) {
          await assert.rejects(abandoned, /cut off/)
          await cli.json([...ABANDON, '--yes'])
        } else await abandoned

        await cli.run(['keys', 'rotate', 'sig/RS256'])
        const rows = await cli.json(['keys', 'list'])
        const phases = old.map((row) => rows.find(({ kid }) => kid === row.kid)?.phase)
        assert.deepEqual(new Set(phases), new Set(['revoked']), `cut off at ${cutAt}`)
        for (const [command, name] of [
          ['accounts', 'ada'],
          ['clients', 'web'],
        ] as const) {
          const found = await cli.json<Record<string, string>[]>([command, 'list'])
          const names = found.map(({ username, id }) => username ?? id)
          assert.deepEqual(names, [name], `cut off at ${cutAt}`)
        }
      }
    })
  }

  it('is refused where nothing is lost, also once it was done', async () => {
    await using cli = await keyturnIn()
    await cli.makeRings(DAY)
    const assertWhole = async () => {
      const whole = await cli.run([...ABANDON, '--yes'])
      assert.equal(whole.status, 1)
      assert.match(whole.err, /Nothing is given up.*compare its seal\.\* settings/)
    }
    await assertWhole()
    // A record that anybody can write makes nobody believe what else is in the database.
    await cli.withStores(({ keys }) => keys.addKey(anyKey(2, { ring: 'deployment' })))
    await assertWhole()
    await rm(`${cli.path}/kek.jwks`)
    assert.equal((await cli.run([...ABANDON, '--yes'])).status, 0)
    assert.equal((await cli.run([...ABANDON, '--yes'])).status, 1)
  })

  it('is refused where only a record of the secret that somebody put there does not open', async () => {
    await using cli = await keyturnIn()
    await cli.makeRings(DAY)
    // Whoever writes the database can seal whatever they like under a key-encryption key of their own.
    const theirs = createSealer([{ kid: 'theirs', secret: randomBytes(32) }])
    const other = createMemoryKeyStore()
    const { record } = await openDeployment(other, theirs, systemClock)
    for (const generation of [2, 7]) {
      await cli.withStores(({ keys }) =>
        keys.addKey({ ...record, generation, id: `x${generation}` }),
      )
      const before = await cli.withStores(({ keys }) => keys.load())
      for (const args of [ABANDON, [...ABANDON, '--yes'], ['keys', 'rotate', 'sig/ES256']]) {
        const answer = await cli.run(args)
        assert.equal(answer.status, 1, answer.out)
        assert.match(
          answer.err,
          new RegExp(`generation ${generation} .* although generation 1 opens`),
        )
      }
      assert.deepEqual(await cli.withStores(({ keys }) => keys.load()), before)
    }
  })

  it('is refused where the key store is empty, and makes nothing in it', async () => {
    await using cli = await keyturnIn()
    const file = `${cli.path}/kek.jwks`
    for (const keys of [undefined, [kek()]]) {
      if (keys) await writeFile(file, JSON.stringify({ keys }))
      for (const args of [ABANDON, [...ABANDON, '--yes']]) {
        const answer = await cli.run(args)
        assert.equal(answer.status, 1, answer.out)
        assert.match(answer.err, /Nothing is given up: the key store is empty/)
        const stored = await cli.withStores((stores) => stores.keys.load())
        assert.deepEqual(stored, { keys: [], events: [] })
      }
      if (!keys) await assert.rejects(readFile(file), { code: 'ENOENT' })
    }
  })

  it('does not even seal the secret anew before it was told to', async () => {
    await using cli = await keyturnIn()
    await cli.makeRings(DAY)
    const file = `${cli.path}/kek.jwks`
    const { keys } = JSON.parse(await readFile(file, 'utf8'))
    await writeFile(file, JSON.stringify({ keys: [kek(), ...keys] }))
    const before = await cli.withStores((stores) => stores.keys.load())
    assert.equal((await cli.run(ABANDON)).status, 1)
    assert.deepEqual(await cli.withStores((stores) => stores.keys.load()), before)
  })

  it('gives up only what is sealed under a lost one, where a newer one sealed the rest', async () => {
    await using cli = await keyturnIn()
    await cli.makeRings(15 * DAY)
    const file = `${cli.path}/kek.jwks`
    const { keys } = JSON.parse(await readFile(file, 'utf8'))
    const newer = kek()
    await writeFile(file, JSON.stringify({ keys: [newer, ...keys] }))
    // The standby signs, and its successor is sealed under the newer key-encryption key.
    await cli.json(['keys', 'rotate', 'sig/ES256'])
    const fresh = kidOf(await cli.json(['keys', 'list']), 3)
    await writeFile(file, JSON.stringify({ keys: [newer] }))
    const preview = await cli.json<Outcome>(ABANDON)
    assert.equal(preview.secretLost, false, 'the secret of the deployment follows the newest one')
    assert.ok(preview.revoked.length > 0 && !preview.revoked.some((row) => row.kid === fresh))
    await cli.json([...ABANDON, '--yes'])
    const rows = await cli.json(['keys', 'list'])
    assert.deepEqual(phasesOf(rows).slice(0, 3), ['1 revoked', '2 revoked', '3 active'])
    assert.equal(kidOf(rows, 3), fresh)
  })

  it('with key-encryption keys from the environment waits for a new one', async () => {
    const { k } = kek()
    await using cli = await keyturnIn({
      KEYTURN_SEAL__PROTECTOR: 'environment',
      KEYTURN_SEAL__KEYS: k,
    })
    await cli.makeRings(DAY)
    const other = await keyturnIn({
      KEYTURN_DATABASE__URL: `sqlite:${cli.path}/keyturn.db`,
      KEYTURN_SEAL__PROTECTOR: 'environment',
      KEYTURN_SEAL__KEYS: kek().k,
    })
    await using _ = other
    const outcome = await other.json<Outcome>([...ABANDON, '--yes'])
    assert.equal(outcome.revoked.length, 6)
    assert.deepEqual(phasesOf(await other.json(['keys', 'list'])).slice(2), [
      '3 active',
      '4 pre-active',
    ])
  })

  it('is refused while a node runs, because it still has the keys', async () => {
    await using cli = await keyturnIn()
    await cli.makeRings(DAY)
    await rm(`${cli.path}/kek.jwks`)
    await cli.withStores(async ({ nodes }) => {
      const now = Math.floor(Date.now() / 1000)
      await nodes.report({
        id: 'host-1',
        version: '0.1.0',
        issuer: 'http://localhost:3000',
        startedAt: now,
        seenAt: now,
        ringHash: 'x',
        ringAge: 1,
        clockOffset: null,
        kids: [],
        obstacle: null,
      })
    })
    const answer = await cli.run([...ABANDON, '--yes'])
    assert.equal(answer.status, 1)
    assert.match(answer.err, /while nodes run: host-1/)
  })

  it('without --lost-kek says what is lacking', async () => {
    await using cli = await keyturnIn()
    const answer = await cli.run(['keys', 'abandon'])
    assert.equal(answer.status, 2)
    assert.match(answer.err, /--lost-kek/)
  })
})

function kid(row: Row): string {
  return row.kid
}
