import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Refused } from '../../src/errors.ts'
import { partsOf } from '../../src/relying-parties/horizon.ts'
import { simulate } from '../../src/relying-parties/simulate.ts'
import type { RingPolicy } from '../../src/ring/policy.ts'
import { POLICY, policiesOf } from '../support/rings.ts'

const MINUTE = 60
const DAY = 86_400

const TIMES = { maxRingAge: 10, clockSkew: 2 }
const fast = (ring: string, changes: Partial<RingPolicy> = {}): RingPolicy => ({
  ...POLICY,
  ...TIMES,
  ring,
  cryptoperiod: 2 * MINUTE,
  propagation: MINUTE,
  retention: 3 * MINUTE,
  ...changes,
})
const slow = (ring: string): RingPolicy => ({
  ...POLICY,
  ...TIMES,
  ring,
  cryptoperiod: 90 * DAY,
  propagation: 14 * DAY,
  retention: 14 * DAY,
})
const seconds = (ring: string) =>
  fast(ring, { cryptoperiod: 10, propagation: 6, retention: 12, maxRingAge: 2, clockSkew: 1 })

const run = (rings: readonly RingPolicy[], more: { horizon?: number; nodes?: number } = {}) => {
  const [first = slow('sig/RS256')] = rings
  return simulate({
    policies: {
      ...policiesOf(first),
      rings,
      policyFor: (ring) => rings.find((r) => r.ring === ring) ?? first,
    },
    refreshInterval: 1,
    jwksMaxAge: 5,
    staleWhileRevalidate: 0,
    tokenLifetime: 5,
    flight: 1,
    ...more,
  })
}

describe('the horizon of a simulation', () => {
  for (const [what, policy] of [
    ['of minutes', fast('sig/ES256')],
    ['of seconds', seconds('sig/ES256')],
    ['of minutes without a standby', fast('sig/ES256', { standby: false })],
  ] as const) {
    it(`shows of a cryptoperiod ${what} all that four times as long shows`, () => {
      const once = run([policy])
      const horizon = once.parts[0]?.horizon ?? 0
      assert.ok(horizon < DAY && once.activations > 5 && once.removals > 3, `${horizon}`)
      const longer = run([policy], { horizon: 4 * horizon })
      const found = ({ models }: ReturnType<typeof run>) =>
        models.map(({ model, verdict, forward, backward }) => [model, verdict, forward, backward])
      assert.deepEqual(found(longer), found(once))
    })
  }

  it('is of each ring its own where they turn at very different paces', () => {
    const result = run([slow('sig/RS256'), seconds('sig/ES256'), fast('sig/PS256')])
    assert.deepEqual(
      result.parts.map(({ rings }) => rings),
      [['sig/RS256'], ['sig/ES256'], ['sig/PS256']],
    )
    const [long = 0, ...short] = result.parts.map(({ horizon }) => horizon)
    assert.ok(long > 365 * DAY && short.every((horizon) => horizon < DAY))
    assert.ok(result.revocations === 3, 'every ring had its emergency')
    const alone = run([seconds('sig/ES256')])
    for (const [index, { model, margin, believesRevoked }] of result.models.entries()) {
      const worst = alone.models[index]
      assert.ok((margin ?? 0) <= (worst?.margin ?? 0), model)
      if (believesRevoked !== undefined && believesRevoked !== null) {
        assert.ok(believesRevoked >= (worst?.believesRevoked ?? 0), model)
      }
    }
  })

  it('is a year for rings that turn in months, together', () => {
    const { parts } = run([slow('sig/RS256'), slow('sig/ES256')])
    assert.equal(parts.length, 1)
    assert.ok((parts[0]?.horizon ?? 0) >= 365 * DAY)
  })

  it('comes to the same verdict with keys that sign for a century as with those that do for a year', () => {
    const verdicts = (cryptoperiod: number) =>
      run([{ ...slow('sig/ES256'), cryptoperiod }]).models.map(
        ({ model, forward, believesRevoked }) => [model, forward, believesRevoked],
      )
    assert.deepEqual(verdicts(36_500 * DAY), verdicts(365 * DAY))
  })

  it('does not take the end of a short one for trust without end', () => {
    const { models } = run([fast('sig/ES256')])
    const trust = (name: string) => models.find(({ model }) => model === name)?.believesRevoked
    assert.ok(Math.abs((trust('ttl-12h') ?? 0) - 12 * 3600) < 120, `${trust('ttl-12h')}`)
    assert.equal(trust('static'), null)
  })

  for (const [what, rings, options, reason] of [
    [
      'a year of minutes',
      [fast('sig/ES256')],
      { horizon: 365 * DAY },
      /262,800 times in 365 d.*leave the time out/,
    ],
    [
      'a day of seconds',
      [seconds('sig/ES256')],
      { horizon: DAY },
      /every 10 s, so that keys switch 8,640 times in 1 d/,
    ],
    [
      'more switches than the fewest nodes allow, so that fewer nodes are no way out',
      [slow('sig/ES256')],
      { horizon: 500_000 * DAY },
      /^(?!.*fewer nodes).*leave the time out/,
    ],
    [
      'a million nodes',
      [slow('sig/ES256')],
      { nodes: 1_000_000 },
      /at most 0 switches.*simulate fewer nodes/,
    ],
  ] as const) {
    it(`is refused with its numbers before the work begins: ${what}`, () => {
      assert.throws(
        () => run(rings, options),
        (error) => error instanceof Refused && reason.test(error.message),
      )
    })
  }

  it('counts the work of rings that nobody sees, and leaves them out where it is too much', () => {
    const cookie = { ...seconds('cookie'), published: false }
    const rings = [slow('sig/ES256'), cookie]
    const policies = { rings, policyFor: () => cookie }
    const parts = partsOf(policies, { nodes: 50, hiding: 60 })
    assert.deepEqual(
      parts.map(({ rings: names }) => names),
      [['sig/ES256']],
    )
  })
})
