import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { oneIssuer } from '../../lab/one-issuer.ts'
import { loadConfig } from '../../src/config/load.ts'
import { longestToken, rotationPolicies } from '../../src/config/policies.ts'
import { Refused } from '../../src/errors.ts'
import { RP_MODELS } from '../../src/relying-parties/models.ts'
import { revocationPrice } from '../../src/relying-parties/price.ts'
import { type SimulationOptions, simulate } from '../../src/relying-parties/simulate.ts'
import type { RingPolicy } from '../../src/ring/policy.ts'
import { repeats } from '../support/repeats.ts'
import { POLICY, policiesOf } from '../support/rings.ts'

const MINUTE = 60
const HOUR = 3600
const DAY = 24 * HOUR

/** Small numbers; `propagation` and `retention` are what these tests turn. */
interface Scale {
  readonly policy: Pick<
    RingPolicy,
    'cryptoperiod' | 'propagation' | 'retention' | 'standby' | 'maxRingAge' | 'clockSkew'
  >
  readonly jwksMaxAge: number
  readonly staleWhileRevalidate: number
  readonly staleIfError: number
  readonly flight: number
  readonly tokenLifetime: number
  readonly leeway: number
}

const SCALE: Scale = {
  policy: {
    cryptoperiod: 500_000,
    propagation: 120_000,
    retention: 5000,
    standby: true,
    maxRingAge: 100,
    clockSkew: 5,
  },
  jwksMaxAge: 200,
  staleWhileRevalidate: 20,
  staleIfError: 0,
  flight: 10,
  tokenLifetime: 600,
  leeway: 30,
}

function run({ policy, ...scale }: Scale, more: Partial<SimulationOptions> = {}) {
  return simulate({
    policies: policiesOf({ ...POLICY, ...policy }),
    refreshInterval: Math.max(1, Math.floor(policy.maxRingAge / 4)),
    horizon: 3 * policy.cryptoperiod + 20 * policy.propagation + 10 * policy.retention,
    ...scale,
    ...more,
  })
}

/** Turns some numbers of the policy. */
function turned(scale: Scale, policy: Partial<Scale['policy']>): Scale {
  return { ...scale, policy: { ...scale.policy, ...policy } }
}

/**
 * How long an RP may go on without a key that the JWKS shows, in seconds: X of the inequalities. Written
 * down here once more, so that neither the machine nor its numbers can be wrong unseen.
 */
function blindTime(model: string, maxAge: number): number {
  // And a gap of a second between its tokens, or between its starts.
  const lazy = 12 * HOUR + 36 * MINUTE + 1
  const times: Readonly<Record<string, number>> = {
    'ttl-1m': MINUTE,
    'ttl-5m': 5 * MINUTE,
    'ttl-5m-timer': 5 * MINUTE,
    'ttl-10m': 10 * MINUTE,
    'ttl-20m-timer': 20 * MINUTE,
    'ttl-1h': HOUR,
    'ttl-2h': 2 * HOUR,
    'ttl-6h': 6 * HOUR,
    'ttl-12h': 12 * HOUR,
    'ttl-24h': DAY,
    maxage: maxAge,
    'maxage-timer': maxAge,
    'maxage-floor15m': Math.max(15 * MINUTE, maxAge),
    'maxage-floor15m-slack15m': Math.max(15 * MINUTE, maxAge) + 15 * MINUTE,
    'ttl5m-kid30s': 30,
    'ttl5m-kid30s-twice': 30,
    'ttl5m-kid1m': MINUTE,
    'ttl10m-kid30s': 30,
    'ttl1h-kid1m': MINUTE,
    'ttl1h-kid5m': 5 * MINUTE,
    'ttl1h-kid5m-timer': 5 * MINUTE,
    'ttl1h-behind': HOUR,
    'ttl24h-kid10s': 10,
    'maxage-kid30m': Math.min(maxAge, 30 * MINUTE),
    'forever-kid10s': 10,
    'forever-kid1m': MINUTE,
    'forever-kid5m': 5 * MINUTE,
    'forever-kid10m': 10 * MINUTE,
    'forever-kid10m-free': 10 * MINUTE,
    'maxage-then-kid': Math.max(0, maxAge - 30),
    'lazy-12h36m': lazy,
    'lazy-12h36m-no-old': lazy,
    'lazy-12h36m-no-kid': lazy,
    'lazy-16m': 15 * MINUTE + 45 + 1,
    'ttl12h36m-kid5m': 5 * MINUTE,
    'ttl12h-behind': 12 * HOUR,
    'ttl24h-behind': DAY,
    once: 1,
  }
  return times[model] ?? 0
}

/**
 * The inequalities of the proof. Keys are stamped by a clock that may be behind by the skew, and
 * first signed with by one that may be ahead by it.
 */
function needs(model: string, scale: Scale): { propagation: number; retention: number } {
  const { maxRingAge, clockSkew } = scale.policy
  const cached = scale.jwksMaxAge + Math.max(scale.staleWhileRevalidate, scale.staleIfError)
  const blind = blindTime(model, scale.jwksMaxAge)
  return {
    propagation: maxRingAge + cached + scale.flight + blind + 2 * clockSkew,
    retention: scale.tokenLifetime + scale.leeway + 2 * clockSkew,
  }
}

/** Instants are whole seconds, the last of a period and the first after it. */
const ROUNDING = 2

const MODELS = RP_MODELS.filter(({ proof }) => proof !== 'advisory')
const PROVABLE = MODELS.map(({ name }) => name)

function only(name: string) {
  return { models: RP_MODELS.filter((model) => model.name === name) }
}

function verdicts(result: ReturnType<typeof run>) {
  return Object.fromEntries(result.models.map(({ model, verdict }) => [model, verdict]))
}

function unsafeModels(result: ReturnType<typeof run>) {
  return result.models.filter((m) => m.verdict === 'unsafe').map((m) => m.model)
}

describe('the default configuration', () => {
  const config = oneIssuer(loadConfig({ env: {} }))
  const options: SimulationOptions = {
    policies: rotationPolicies(config),
    ...config.rotation,
    staleIfError: 0,
    tokenLifetime: longestToken(config).lifetime,
  }
  const before = process.cpuUsage()
  const result = simulate(options)
  const { user, system } = process.cpuUsage(before)
  const seconds = (user + system) / 1e6

  it('is simulated for a year, 50 nodes and all models in less than 10 seconds of a processor', () => {
    assert.equal(result.nodes, 50)
    assert.equal(result.models.length, RP_MODELS.length)
    assert.ok(result.activations >= 8 && result.removals >= 8 && result.revocations === 2)
    assert.ok(seconds < 10, `${seconds} s`)
  })

  it('is safe for every model that can be proved, with and without stale-if-error', () => {
    const expected = Object.fromEntries(
      RP_MODELS.map(({ name, proof }) => {
        if (proof === 'advisory') return [name, 'advisory']
        return [name, proof === 'always' ? 'safe' : 'conditional']
      }),
    )
    assert.deepEqual(verdicts(result), expected)
    const cutOff = simulate({ ...options, staleIfError: config.rotation.staleIfError })
    assert.deepEqual(verdicts(cutOff), expected)
    assert.deepEqual(result.stories, [])
  })

  it('leaves the margin that the inequalities say', () => {
    const { policies, jwksMaxAge, staleWhileRevalidate, tokenLifetime } = options
    const policy = policies.policyFor('sig/RS256')
    const flight = 60
    const scale = { jwksMaxAge, staleWhileRevalidate, staleIfError: 0, tokenLifetime, flight }
    for (const { model, forward, backward } of result.models) {
      if (!PROVABLE.includes(model)) continue
      const { propagation, retention } = needs(model, { policy, ...scale, leeway: 0 })
      assert.ok(forward !== null && backward !== null)
      const off = [14 * DAY - propagation - forward, 14 * DAY - retention - backward]
      assert.ok(Math.min(...off) >= -ROUNDING && Math.max(...off) <= 0, `${model}: ${off}`)
    }
  })

  it('says how long a revoked key is believed, as the price of a revocation does', () => {
    const price = revocationPrice({ ...config.rotation, propagation: config.rotation.propagation })
    assert.deepEqual(
      price.flatMap((row) => row.models).toSorted(),
      RP_MODELS.map(({ name }) => name).toSorted(),
    )
    for (const { model, believesRevoked } of result.models) {
      const told = price.find((row) => row.models.includes(model))?.trustsFor
      if (told == null || believesRevoked == null) {
        assert.deepEqual([model, believesRevoked], [model, told])
        continue
      }
      const room = told - believesRevoked
      // An instant is a second long.
      assert.ok(room >= -1, `${model}: ${-room} s longer than the price says`)
      assert.ok(room <= 60, `${model}: ${room} s shorter than the price says`)
    }
  })
})

describe('a margin', () => {
  for (const name of PROVABLE) {
    it(`of ${name} is exact: a second more is unsafe`, () => {
      const [model] = run(SCALE, only(name)).models
      assert.ok(model && model.forward !== null && model.backward !== null)
      assert.ok(model.forward > 0 && model.backward > 0)
      assert.equal(model.margin, Math.min(model.forward, model.backward))
      const { propagation, retention } = SCALE.policy
      for (const [more, margin] of [
        [0, 0],
        [1, -1],
      ] as const) {
        const early = turned(SCALE, { propagation: propagation - model.forward - more })
        const short = turned(SCALE, { retention: retention - model.backward - more })
        assert.equal(run(early, only(name)).models[0]?.forward, margin)
        assert.equal(run(short, only(name)).models[0]?.backward, margin)
        const longer: Scale = {
          ...SCALE,
          tokenLifetime: SCALE.tokenLifetime + model.backward + more,
        }
        assert.equal(run(longer, only(name)).models[0]?.backward, margin)
      }
    })
  }
})

describe('a broken policy is caught', () => {
  it('where propagation is too short: for the models it is too short for, and no others', () => {
    for (const propagation of [330, 345, 700, 1000, 1700, 5000, 20_000, 45_000, 60_000]) {
      const result = run(turned(SCALE, { propagation }))
      const expected = PROVABLE.filter((name) => {
        const least = needs(name, SCALE).propagation
        assert.ok(Math.abs(least - propagation) > ROUNDING || propagation === least)
        return propagation < least
      })
      assert.deepEqual(unsafeModels(result), expected, `propagation ${propagation}`)
      assert.deepEqual(
        result.stories.map(({ cause }) => cause),
        expected.length > 0 ? ['propagation'] : [],
      )
    }
  })

  it('where retention is too short: for every model', () => {
    const result = run(turned(SCALE, { retention: 630 }))
    assert.deepEqual(unsafeModels(result), PROVABLE)
    assert.deepEqual(
      result.stories.map(({ cause }) => cause),
      ['retention'],
    )
  })

  it('where nodes go on with a ring of any age: for every model', () => {
    const result = run(SCALE, { nodeRules: { ringAgeLimit: false } })
    assert.deepEqual(unsafeModels(result), PROVABLE)
    assert.deepEqual(
      result.stories.map(({ cause }) => cause),
      ['ring age'],
    )
  })

  it('where a node with a wrong clock goes on, at the bounds', () => {
    const scale = turned(SCALE, { retention: needs('none', SCALE).retention })
    assert.deepEqual(unsafeModels(run(scale)), [])
    assert.deepEqual(unsafeModels(run(scale, { nodeRules: { clockLimit: false } })), PROVABLE)
  })

  it('with a story that ends where an RP refuses a token, each event after the one before', () => {
    const broken = [
      run(turned(SCALE, { propagation: 300 })),
      run(turned(SCALE, { retention: 630 })),
      run(SCALE, { nodeRules: { ringAgeLimit: false } }),
    ]
    for (const { stories, models } of broken) {
      for (const { events } of [...stories, ...models.flatMap((model) => model.stories)]) {
        const instants = events.map(({ at }) => at)
        assert.deepEqual(
          instants,
          [...instants].sort((a, b) => a - b),
        )
        assert.match(events.at(-1)?.text ?? '', /refuses the token.*: unknown kid/)
        assert.ok(events.some(({ text }) => /^node \d+.* signs /.test(text)))
        assert.ok(events.length >= 3 && events.length <= 6)
      }
    }
    const [
      {
        stories: [story],
      },
    ] = broken as [(typeof broken)[0]]
    assert.deepEqual(
      story?.events.map(({ text }) => text.replace(/\d+/, 'N')),
      [
        'node N, whose clock is 5 s behind, loads the rings, and then cannot reach the key store',
        'key sig/ESN#3 is made and published',
        'node N, whose clock is 5 s behind, answers an HTTP cache without sig/ES256#3; max-age is 3 min 20 s',
        'node N, whose clock is 5 s ahead, signs with sig/ES256#3',
        'the RP (none) refuses the token: unknown kid; it gets that copy from the HTTP cache',
      ],
    )
  })
})

describe('what the bounds of the configuration rely on', () => {
  const atBounds = turned(SCALE, { retention: needs('none', SCALE).retention })
  const more = turned(SCALE, { retention: needs('none', SCALE).retention + SCALE.policy.clockSkew })

  it('is that orders are stamped by a clock that is right, else one more skew of retention', () => {
    const orderOffset = -SCALE.policy.clockSkew
    assert.deepEqual(unsafeModels(run(atBounds, { orderOffset })), PROVABLE)
    assert.deepEqual(unsafeModels(run(more, { orderOffset })), [])
  })
})

describe('a simulation', () => {
  it('finds a policy safe that waited for the store: late is safe', () => {
    const scale = turned(SCALE, { standby: false })
    // Over the instant at which the first successor is due.
    const dueAt = scale.policy.cryptoperiod - scale.policy.propagation
    const outages = [{ from: dueAt - 50, until: dueAt + 5000 }]
    const models = MODELS.filter(({ name }) => blindTime(name, scale.jwksMaxAge) < HOUR)
    const result = run(scale, { outages, models, orders: [] })
    assert.ok(result.activations > 0)
    assert.deepEqual(unsafeModels(result), [])
  })

  it('does not count what a revocation costs as a failure of the policy', () => {
    const orders = [{ do: 'revoke', ring: POLICY.ring, after: 400_000 }] as const
    const result = run(turned(SCALE, { standby: false }), { orders })
    assert.deepEqual([result.revocations, result.early], [1, 1])
    assert.deepEqual(unsafeModels(result), [])
  })

  it('ends even if no time passes between two tokens', () => {
    const behind = RP_MODELS.filter(({ refresh, oldSets }) => refresh === 'behind' || oldSets)
    const { models } = run(SCALE, { gap: 0, models: behind })
    assert.equal(models.length, behind.length)
  })

  it('is the same each time', () => assert.deepEqual(run(SCALE), run(SCALE)))

  it('is refused where nothing happens in it, or nodes are too few to show the worst', () => {
    assert.throws(() => run(SCALE, { horizon: 1000 }), Refused)
    assert.throws(() => run(SCALE, { nodes: 2 }), Refused)
  })
})

describe('any policy', () => {
  const scales = fc.record({
    model: fc.constantFrom(...PROVABLE),
    maxRingAge: fc.integer({ min: 8, max: 4000 }),
    clockSkew: fc.integer({ min: 0, max: 60 }),
    jwksMaxAge: fc.integer({ min: 1, max: 4000 }),
    staleWhileRevalidate: fc.integer({ min: 0, max: 100 }),
    staleIfError: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 4000 })),
    flight: fc.integer({ min: 0, max: 60 }),
    tokenLifetime: fc.integer({ min: 1200, max: 7200 }),
    leeway: fc.integer({ min: 0, max: 300 }),
    standby: fc.boolean(),
    extra: fc.constantFrom(0, 1, 10, 1000),
    period: fc.integer({ min: 1, max: 20_000 }),
  })

  it('with the time that the inequalities ask for is safe, and with less is not', () => {
    fc.assert(
      fc.property(scales, ({ model, maxRingAge, clockSkew, standby, extra, period, ...rest }) => {
        const unset = { cryptoperiod: 0, propagation: 0, retention: 0 }
        const scale = { ...rest, policy: { ...unset, maxRingAge, clockSkew, standby } }
        const least = needs(model, scale)
        const withTimes = (propagation: number, retention: number) => {
          // So that the JWKS never holds more keys than RPs accept, and no planned retirement is
          // near one that is ordered.
          const apart = maxRingAge + 2 * clockSkew + period
          const cryptoperiod = propagation + Math.ceil(retention / 2) + apart
          const times = { cryptoperiod, propagation, retention }
          return run(turned(scale, times), { ...only(model), nodes: 24 }).models[0]
        }
        const safe = withTimes(least.propagation + extra, least.retention + extra)
        assert.ok(safe?.forward != null && safe.backward != null, 'nothing happened')
        assert.ok(safe.forward >= 0 && safe.backward >= 0, JSON.stringify(safe))

        const short = ROUNDING + 1 + extra
        // Kept so long that no removal is near a publication, where max-age would be shorter.
        const kept = least.retention + 20 * least.propagation
        const early = withTimes(least.propagation - short, kept)
        assert.equal(early?.verdict, 'unsafe', `propagation: ${JSON.stringify(early)}`)
        // Without a standby keys retire as planned, which every node knows: half the skew will do.
        const known = standby ? 0 : clockSkew
        const soon = withTimes(least.propagation, least.retention - short - known)
        assert.equal(soon?.verdict, 'unsafe', `retention: ${JSON.stringify(soon)}`)
      }),
      { numRuns: repeats(20, 50) },
    )
  })
})
