import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { exportJWK, generateKeyPair, type JWK } from 'jose'
import { systemClock, toRfc3339 } from '../../src/clock.ts'
import { DAY, keyturnIn } from './keyturn.ts'

/** Instants and durations that somebody gives to an import. */

type Cli = Awaited<ReturnType<typeof keyturnIn>>

async function source(cli: Cli, alg = 'ES256'): Promise<string> {
  const { publicKey } = await generateKeyPair(alg, { extractable: true })
  const jwk: JWK = { ...(await exportJWK(publicKey)), kid: 'old', alg }
  const path = join(cli.path, 'jwks.json')
  await writeFile(path, JSON.stringify({ keys: [jwk] }))
  return path
}

const inDays = (days: number) => toRfc3339(systemClock.now() + days * DAY)

describe('the instant at which a key for validation leaves', () => {
  it('is refused with one coded line where it cannot be meant', async () => {
    await using cli = await keyturnIn()
    const add = ['keys', 'add', await source(cli), '--apply', '--as']
    for (const [role, notAfter, expected] of [
      ['validation', '2020-01-01T00:00:00Z', /^end_past: .* 2020-01-01T00:00:00Z, and it is 20/],
      ['validation', 'now', /^end_past: .*Name an instant to come\.\n$/],
      ['validation', '0s', /^end_past: /],
      ['validation', '0000-01-01T00:00:00Z', /^end_past: /],
      ['validation', inDays(36_501), /^instant_far: .*more than 100 years ahead/],
      ['validation', '9999-12-31T23:59:59Z', /^instant_far: /],
      ['standby', inDays(30), /^end_unused: .*Only a key for validation/],
      ['active', inDays(30), /^end_unused: /],
      ['validation', '2099-01-01T00:00:00', /its offset from UTC is missing/],
      ['validation', '2099-02-29T00:00:00Z', /February 2099 has 28 days/],
      ['validation', '-5d', /It must be an instant/],
      ['validation', '1d12h', /It must be an instant/],
    ] as const) {
      const { status, out, err } = await cli.run([...add, role, '--not-after', notAfter])
      assert.notEqual(status, 0, `${role} ${notAfter}`)
      assert.deepEqual([out, expected.test(err)], ['', true], `${role} ${notAfter}: ${err}`)
    }
    assert.deepEqual(await cli.json(['keys', 'list']), [])
  })

  it('may be a duration from now', async () => {
    await using cli = await keyturnIn()
    const before = systemClock.now()
    const { keys } = await cli.json<{ keys: { publishedUntil: string }[] }>([
      ...['keys', 'add', await source(cli), '--as', 'validation', '--not-after', '30d', '--apply'],
    ])
    const until = Date.parse(keys[0]?.publishedUntil ?? '') / 1000
    assert.ok(until >= before + 30 * DAY && until < before + 31 * DAY, String(until))
  })
})

describe('a preview for an instant', () => {
  it('may be for the past and for a duration from now, and not for another century', async () => {
    await using cli = await keyturnIn()
    const args = ['keys', 'import', 'jwks', await source(cli), '--json', '--at']
    for (const at of ['1960-01-01T00:00:00Z', '2020-01-01T00:00:00+05:30', 'now', '36500d']) {
      const { status, err } = await cli.run([...args, at])
      assert.equal(status, 0, `${at}: ${err}`)
    }
    for (const at of ['9999-12-31T23:59:59Z', inDays(36_501)]) {
      const { status, err } = await cli.run([...args, at])
      assert.deepEqual([status, /^instant_far: .*\n$/.test(err)], [1, true], `${at}: ${err}`)
    }
  })
})

describe('options of IdentityServer', () => {
  it('are refused where it would not start with them', async () => {
    await using cli = await keyturnIn()
    const folder = join(cli.path, 'keys')
    await mkdir(folder)
    const args = ['keys', 'import', 'duende', folder]
    const { err } = await cli.run([...args, '--rotation', '14d', '--propagation', '14d'])
    assert.match(
      err,
      /^times_contradictory: RotationInterval \(1209600 s\).*PropagationTime \(1209600 s\)/,
    )
    for (const option of ['--rotation', '--propagation', '--retention']) {
      const { status, err } = await cli.run([...args, option, '0s'])
      assert.deepEqual([status === 0, /from 1s to/.test(err)], [false, true], err)
    }
  })
})
