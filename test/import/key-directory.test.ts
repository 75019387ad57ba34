import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { VECTORS, vector, vectorJson, withoutVectors } from '../../lab/vectors.ts'
import { livesOf } from '../../src/import/duende-life.ts'
import { readKeyDirectory } from '../../src/import/key-directory.ts'
import { readKeyFile } from '../../src/import/key-file.ts'
import { ticksOf } from '../../src/values/ticks.ts'

const NOW = Date.parse('2026-06-01T09:00:00Z') / 1000
const file = (...path: string[]) => ({ name: path.at(-1) ?? '', bytes: vector(...path) })

describe('a directory of key files', { skip: withoutVectors }, () => {
  it('is read: a certificate in a file of its own joins its key, and what is no key is named', async () => {
    const files = [
      file('pem', 'rsa-pkcs1.pem'),
      file('pem', 'rsa-pkcs8.pem'),
      file('pem', 'ec-p256-pkcs8.pem'),
      file('pem', 'truncated.pem'),
      { name: 'README', bytes: Buffer.from('Keys of the harbour.\n') },
    ]
    const { keys, left } = await readKeyDirectory(files, { now: NOW })
    assert.deepEqual(
      keys.map(({ algorithm }) => algorithm),
      ['RS256', 'ES256'],
    )
    assert.deepEqual(
      left.map(({ name, code }) => `${name} ${code}`),
      ['truncated.pem input_truncated', 'README input_malformed'],
    )
  })

  it('publishes no issuer as a key: its certificate is in the chain, as in one file', async () => {
    const { entries } = vectorJson<{ entries: { file: string; chain?: number }[] }>(
      'pem',
      'manifest.json',
    )
    const whole = entries.find(({ file: name, chain = 0 }) => chain > 1 && name.endsWith('.pem'))
    assert.ok(whole)
    const blocks = vector('pem', whole.file)
      .toString()
      .match(/-----BEGIN [^-]+-----[^-]+-----END [^-]+-----/g)
    const files = (blocks ?? []).map((block, at) => ({
      name: `${at}.pem`,
      bytes: Buffer.from(block),
    }))
    const { keys, left } = await readKeyDirectory(files, { now: NOW })
    const one = await readKeyFile(vector('pem', whole.file), { name: whole.file, now: NOW })
    assert.deepEqual(left, [])
    assert.deepEqual(
      keys.map(({ source, ...key }) => key),
      one.keys.map(({ source, ...key }) => key),
    )
    assert.equal(keys[0]?.certificates.length, whole.chain)
  })

  it('of manual keys of IdentityServer is read, each with its certificate', async () => {
    const directory = join(VECTORS, 'duende', 'manual', 'keys')
    const files = readdirSync(directory).map((name) => file('duende', 'manual', 'keys', name))
    const { keys, left } = await readKeyDirectory(files, { now: NOW, password: 'test-only-pfx-1' })
    assert.deepEqual(left, [])
    assert.equal(keys.filter((key) => key.private).length, 5)
    const [old] = (
      await readKeyFile(vector('duende', 'manual', 'keys', 'old.crt'), {
        name: 'old.crt',
        now: NOW,
      })
    ).keys
    assert.equal(
      keys.find(({ thumbprint }) => thumbprint === old?.thumbprint)?.certificates.length,
      1,
    )
  })
})

interface Timeline {
  name: string
  askedEverySeconds: number
  options: Record<'PropagationTime' | 'RotationInterval' | 'RetentionDuration', string>
  events: { at: string; event: string; kid: string }[]
}

/** `14.00:00:00`, as .NET writes a duration. */
function span(text: string): number {
  const [, days = 0, hours = 0, minutes = 0, seconds = 0] = (
    /^(?:(\d+)\.)?(\d\d):(\d\d):(\d\d)$/.exec(text) ?? []
  ).map((part) => Number(part ?? 0))
  return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
}

describe('a key of IdentityServer from the far future', () => {
  it('lives as if it had been made a day ahead, so that no wrong date lets it sign for years', () => {
    const now = Date.parse('2026-06-01T00:00:00Z') / 1000
    const key = (kid: string, date: string) => ({
      ...{ kid, algorithm: 'ES256', isX509: false },
      ...{ createdAt: ticksOf(date), storedAt: ticksOf(date) },
    })
    const [day, rotation, retention] = [86_400, 90 * 86_400, 14 * 86_400]
    const lives = livesOf(
      [key('last', '9999-12-31T23:59:59.9999999Z'), key('far', '9998-01-01T00:00:00Z')],
      { propagation: retention, rotation, retention },
      now,
    )
    const [far, last] = [lives.get('far'), lives.get('last')]
    assert.deepEqual([far?.phaseHint, last?.phaseHint], ['active', 'next'])
    assert.equal(far?.retiresAt, now + day + rotation + 1)
    assert.equal(last?.activatesAt, now + day + rotation + 1)
    for (const life of [far, last]) assert.equal(life?.expiresAt, now + day + rotation + retention)
  })
})

describe('the life of keys in IdentityServer', { skip: withoutVectors }, () => {
  const timelines = withoutVectors ? [] : vectorJson<Timeline[]>('duende', 'timelines.json')
  for (const { name, askedEverySeconds, options, events } of timelines) {
    it(`is that of the real server ${name}: who signs when, and who leaves`, () => {
      const stored = events.filter(({ event }) => event === 'stored')
      const keys = stored.map(({ kid, at }) => {
        const createdAt = ticksOf(at)
        return { kid, algorithm: 'ES256', createdAt, storedAt: createdAt, isX509: false }
      })
      const lives = livesOf(
        keys,
        {
          propagation: span(options.PropagationTime),
          rotation: span(options.RotationInterval),
          retention: span(options.RetentionDuration),
        },
        Math.max(...stored.map(({ at }) => Date.parse(at) / 1000)),
      )
      const switches = events.filter(({ event }) => event === 'signs')
      assert.ok(switches.length > 2)
      for (const { at, kid } of switches) {
        const late = Date.parse(at) / 1000 - (lives.get(kid)?.activatesAt ?? 0)
        assert.ok(late >= 0 && late < askedEverySeconds, `${kid} signs ${late} s after it may`)
      }
      for (const { at, kid } of events.filter(({ event }) => event === 'out of the JWKS')) {
        assert.ok(
          Date.parse(at) / 1000 >= (lives.get(kid)?.expiresAt ?? 0),
          `${kid} leaves too early`,
        )
      }
    })
  }
})
