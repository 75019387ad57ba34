import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import { runCommand } from '../../src/cli/program.ts'
import { systemClock } from '../../src/clock.ts'
import type { Simulation } from '../../src/relying-parties/simulate.ts'
import { keyturnIn } from './keyturn.ts'

describe('simulate', () => {
  it('finds the default configuration safe, without a database', async () => {
    // Nobody listens there.
    await using cli = await keyturnIn({ KEYTURN_DATABASE__URL: 'postgres://u:p@127.0.0.1:1/none' })
    const { status, out, err } = await cli.spawned(['simulate'])
    assert.deepEqual([status, err], [0, ''])
    assert.match(out, /^MODEL +STANDS FOR +VERDICT +MARGIN\n/)
    assert.match(out, /^ttl10m-kid30s +jose, express-oauth2-jwt-bearer +safe +13 d 22 h /m)
    assert.match(out, /^lazy-12h36m is safe if each verifies a token at least every 13 d /m)
    assert.match(out, /^once is safe if each is restarted at least every 13 d /m)
    assert.match(out, /^static: its operator adds each new key by hand/m)
    assert.match(out, /^stale-if-error \(1 d\) is not counted/m)
  })

  it('refuses --pause 0s, because no time would pass between two tokens', async () => {
    await using cli = await keyturnIn()
    const { status, err } = await cli.run(['simulate', '--pause', '0s'])
    assert.equal(status, 2)
    assert.match(err, /--pause.*It must be .* from 1s to /s)
  })

  it('counts stale-if-error with --stale-if-error', async () => {
    await using cli = await keyturnIn()
    const args = ['simulate', '--model', 'none', '--json']
    const [without, counted] = await Promise.all([
      cli.json<Simulation>(args),
      cli.json<Simulation>([...args, '--stale-if-error']),
    ])
    const [most, least] = [without, counted].map(({ models }) => models[0]?.margin ?? Number.NaN)
    // A day instead of the minute of stale-while-revalidate.
    assert.equal((most ?? 0) - (least ?? 0), 86_400 - 60)
  })

  it('shows the cost of an outage of the JWKS, and how long relying parties wait', async () => {
    await using cli = await keyturnIn()
    const { status, out } = await cli.run([
      'simulate',
      '--model',
      'ttl5m-kid0',
      'forever-kid0',
      '--outage',
      '7m',
    ])
    assert.equal(status, 0)
    assert.match(out, /is unavailable for 7 min, valid tokens of known keys are refused/)
    assert.match(out, /^ttl5m-kid0 +Spring Security +for up to 7 min; all from 5 min on +500 ms$/m)
    assert.match(out, /^forever-kid0 +go-oidc v3, .* +none +-$/m)
    assert.match(
      out,
      /takes longer than they wait counts as unavailable: 500 ms at Spring Security\./,
    )
    assert.match(out, /rotation.staleIfError allows 1 d/)
    const args = ['simulate', '--model', 'ttl-1m', '--outage', '2d']
    const { outage } = await cli.json<{ outage: { length: number; costs: object[] } }>(args)
    assert.equal(outage.length, 2 * 86_400)
    assert.deepEqual(outage.costs, [
      {
        ...{ model: 'ttl-1m', standsFor: 'Micronaut Security', waitsFor: null },
        ...{ refusesFor: 2 * 86_400, allFrom: 60, endsByUnknownKid: false },
      },
    ])
    assert.match((await cli.run(args.slice(0, -1).concat('7'))).err, /duration/)
  })

  it('uses --pause for relying parties that refresh in the background', async () => {
    await using cli = await keyturnIn()
    const args = ['simulate', '--model', 'lazy-12h36m', '--json']
    const [busy, idle] = await Promise.all([
      cli.json<Simulation>(args),
      cli.json<Simulation>([...args, '--pause', '20h']),
    ])
    const trust = ({ models }: Simulation) => models[0]?.believesRevoked ?? Number.NaN
    assert.equal(trust(idle) - trust(busy), 20 * 3600 - 1)
    assert.equal(idle.models[0]?.condition, busy.models[0]?.condition)
  })

  it('explains why values that the configuration would refuse are unsafe, with status 1', async () => {
    await using cli = await keyturnIn()
    const args = ['simulate', '--model', 'none', 'ttl-2h', '--propagation', '77m']
    const { status, out, err } = await cli.run([...args, '--retention', '1h'])
    assert.equal(status, 1)
    assert.match(err, /^The policy is unsafe for 2 of 2 models: .*retention is too short/)
    assert.match(err, /propagation is too short/)
    assert.match(out, /^none .* unsafe +-1 min 59 s$/m)
    assert.match(out, /^t\+1 s +key sig\/RS256#\d+ is made and published$/m)
    assert.match(out, /^t\+.* the RP \(none\) refuses the token: unknown kid/m)
  })

  it('finds the policy unsafe without the limit on the age of rings', async () => {
    await using cli = await keyturnIn()
    const { status, out } = await cli.run(['simulate', '--no-ring-age-limit', '--json'])
    assert.equal(status, 1)
    const { models, stories }: Simulation = JSON.parse(out)
    assert.deepEqual(new Set(models.map(({ verdict }) => verdict)), new Set(['unsafe', 'advisory']))
    assert.deepEqual(
      stories.map(({ cause }) => cause),
      ['ring age'],
    )
  })

  it('ends with cryptoperiods of minutes beside one of months', async () => {
    const env = {
      KEYTURN_ROTATION: JSON.stringify({
        ...{
          jwksMaxAge: '1s',
          staleWhileRevalidate: '0s',
          refreshInterval: '1s',
          maxRingAge: '2s',
        },
        clockSkew: '1s',
        rings: {
          'sig/RS256': { cryptoperiod: '61s', propagation: '6s', retention: '122s' },
          'sig/ES256': { cryptoperiod: '2m', propagation: '60s', retention: '3m' },
          'sig/PS256': {},
        },
      }),
      KEYTURN_TOKENS: '{ accessToken: 5s, idToken: 5s, clientCredentials: 5s }',
      KEYTURN_ROTATION__RINGS__SIG_ES256__STANDBY: 'false',
      KEYTURN_OUTGOING__BACKCHANNEL_LOGOUT: 'false',
    }
    await using cli = await keyturnIn(env)
    const { status, out, err } = await cli.run(['simulate'])
    assert.equal(status, 1, 'fetches may take a minute, and no key is known that soon')
    assert.match(out, /sig\/RS256 for \d+ min.*, sig\/ES256 for .* min.*, sig\/PS256 for 450 d/)
    assert.match(err, /^The policy is unsafe for 51 of 53 models/)
    const year = await cli.run(['simulate', '--days', '365'])
    assert.equal(year.status, 1)
    assert.match(year.err, /keys switch 516,984 times in 365 d.*leave the time out/)
  })

  it('shows progress on a terminal and clears it at the end', async () => {
    await using cli = await keyturnIn()
    const shown: string[] = []
    const context = {
      ...{ env: { ...cli.spawnOptions.env }, clock: systemClock, stdin: Readable.from([]) },
      ...{ colors: false, print: () => {}, warn: () => {} },
      progress: (text: string) => shown.push(text),
    }
    const args = ['simulate', '--model', 'none', 'ttl-2h']
    assert.equal(await runCommand(args, context), 0)
    assert.deepEqual(
      shown.map((text) => text.replace(/ \(.*: /, ' (')),
      ['0 % (none)', '50 % (ttl-2h)', ''],
    )
  })

  it('is refused if no key takes over within --days', async () => {
    await using cli = await keyturnIn()
    const { status, err } = await cli.run(['simulate', '--days', '2'])
    assert.equal(status, 1)
    assert.match(err, /Simulate more days/)
  })
})
