import assert from 'node:assert/strict'
import { rename } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { startTestServer } from '../../lab/server.ts'
import { temporaryFolder } from '../../lab/temporary.ts'
import { type Clock, systemClock } from '../../src/clock.ts'
import { openKeyRing } from '../../src/data-protection/open-key-ring.ts'
import type { KeyturnServer } from '../../src/server/server.ts'
import { emptyDirectory, RING_PLACES } from '../data-protection/empty-rings.ts'
import { until } from '../support/redis.ts'

const DAY = 86_400
const CHECK = 'data-protection/shop'

const settingsOf = (ring: Readonly<Record<string, unknown>>) => ({
  rotation: { refreshInterval: '30m' },
  dataProtection: { rings: [{ name: 'shop', ...ring }] },
})

const checkOf = async (server: KeyturnServer) => (await server.readiness()).checks[CHECK]

const isKept = async (server: KeyturnServer) => {
  const check = await checkOf(server)
  return check?.endsAt !== undefined && !check.degraded
}

describe('two servers that keep one ring', () => {
  for (const { name, skip, create } of RING_PLACES) {
    it(`in ${name} make its first key once`, { skip }, async () => {
      await using ring = await create()
      const settings = settingsOf(ring.source)
      const starting = [startTestServer({ settings }), startTestServer({ settings })]
      const servers = await Promise.all(starting)
      try {
        for (const { server } of servers) {
          await until('the ring is kept', () => isKept(server))
          const metrics = await server.registry.metrics()
          assert.match(metrics, /keyturn_data_protection_keys\{ring="data-protection\/shop"\} 1\n/)
          assert.match(metrics, /keyturn_data_protection_late\{ring="[^"]+"\} 0\n/)
        }
        await using opened = await openKeyRing({ ...ring.source, now: () => new Date() })
        const [key, ...more] = opened.keys
        assert.deepEqual([more, opened.problems], [[], []])
        assert.equal(opened.defaultKey().key, key?.id)
      } finally {
        for (const server of servers) await server[Symbol.asyncDispose]()
      }
    })
  }
})

describe('a server whose kept ring', () => {
  it('is late is ready and degraded, with the instants; with strict readiness it is not ready', async () => {
    for (const readiness of ['lenient', 'strict']) {
      await using ring = await emptyDirectory()
      let passed = 0
      const clock: Clock = {
        now: () => Math.floor(systemClock.exact() + passed),
        exact: () => systemClock.exact() + passed,
        elapsed: () => systemClock.elapsed() + passed,
        sleep: systemClock.sleep,
      }
      await using started = await startTestServer({
        clock,
        settings: { ...settingsOf(ring.source), management: { port: 0, readiness } },
      })
      const { server } = started
      await until('the ring is kept', () => isKept(server))
      passed = 84 * DAY
      const { ok, degraded, detail, dueAt, lateAt, endsAt } = (await checkOf(server)) ?? {}
      assert.deepEqual([ok, degraded], [readiness === 'lenient', true])
      assert.match(detail ?? '', /^late: .* stand still at 20/)
      const days = [dueAt, lateAt, endsAt].map((at) =>
        Math.round((Date.parse(at ?? '') / 1000 - clock.now() + passed) / DAY),
      )
      assert.deepEqual(days, [76, 83, 90])
      const metrics = await server.registry.metrics()
      assert.match(metrics, /keyturn_data_protection_late\{ring="data-protection\/shop"\} 1\n/)
      assert.match(metrics, /keyturn_data_protection_key_due_seconds\{[^}]+\} -69\d{4}\n/)
    }
  })

  it('cannot be reached starts all the same, is degraded, and goes on once it is there', async () => {
    await using folder = await temporaryFolder()
    await using ring = await emptyDirectory()
    const directory = `${folder.path}/ring`
    const lines: Readonly<Record<string, unknown>>[] = []
    await using started = await startTestServer({
      settings: settingsOf({ directory }),
      onLogged: (line) => void lines.push(line),
    })
    const { server } = started
    await until('the first look fails', async () => (await checkOf(server))?.degraded === true)
    const check = await checkOf(server)
    assert.equal(check?.ok, true)
    assert.match(check?.detail ?? '', /not read since the start/)
    const logged = lines.find(({ ring: name }) => name === CHECK)
    assert.deepEqual([logged?.code, logged?.failures], ['ring_unavailable', 1])
    const metrics = await server.registry.metrics()
    assert.match(metrics, /keyturn_data_protection_failed_looks_total\{[^}]+\} 1\n/)
    assert.doesNotMatch(metrics, /keyturn_data_protection_keys\{/)
    await rename(ring.source.directory ?? '', directory)
    await until('the ring is kept', () => isKept(server))
  })

  it('has a certificate that cannot be used does not start, and says why', async () => {
    await using ring = await emptyDirectory()
    const certificates = [{ file: '/nowhere/ring.pfx' }]
    await assert.rejects(
      startTestServer({ settings: settingsOf({ ...ring.source, certificates }) }),
      { code: 'certificate_unusable' },
    )
  })
})
