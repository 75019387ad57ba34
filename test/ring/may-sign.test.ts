import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type KeyEvent, keyEvent } from '../../src/ring/key.ts'
import { ringStates, wouldOutlive } from '../../src/ring/lifecycle.ts'
import { facts, key, POLICY } from '../support/rings.ts'
import { SEALER, setUp } from '../support/scheduler.ts'
import { record } from '../support/sealer.ts'

const EVENT = { ring: POLICY.ring, kid: 'k1', at: 0, reason: 'test', actor: 'test' } as const
const extended = keyEvent({ ...EVENT, type: 'extend', retention: 300 })
const recorded = keyEvent({ ...EVENT, type: 'valid-until', validUntil: 2000 })

describe('a token outlives the publication of its key', () => {
  // Retention 200, clock skew 5. The key retires at 1000, when the next one activates.
  const table: readonly [string, { now: number; last: number; events?: KeyEvent[] }][] = [
    ['beyond its retention, counted from now while it is active', { now: 500, last: 695 }],
    ['beyond its retention, counted from the end where that has passed', { now: 1004, last: 1195 }],
    ['beyond an extended retention', { now: 500, last: 795, events: [extended] }],
    ['beyond what is recorded of it', { now: 500, last: 2000, events: [recorded] }],
  ]
  for (const [when, { now, last, events = [] }] of table) {
    it(`${when}, and not a second sooner`, () => {
      const keys = [key(1), key(2, { activatesAt: 1000 })]
      const [state] = ringStates(facts(keys, events), POLICY, now)
      assert.ok(state)
      assert.equal(wouldOutlive(state, POLICY, { expiresAt: last, now }), false)
      assert.equal(wouldOutlive(state, POLICY, { expiresAt: last + 1, now }), true)
    })
  }
})

describe('whether a key may sign', () => {
  const SKEW = 60

  it('is true from its activation until two skews after its retirement', async () => {
    const { scheduler, clock, active } = setUp(undefined, undefined, 1800)
    await scheduler.runOnce()
    const { kid } = active()
    const retiresAt = scheduler.status.view?.byKid.get(kid)?.retiresAt ?? 0
    await clock.pass(retiresAt - clock.now() + 2 * SKEW - 1)
    await scheduler.runOnce()
    assert.notEqual(active().kid, kid)
    assert.equal(scheduler.authorize(kid, undefined), undefined)
    await clock.pass(1)
    assert.throws(() => scheduler.authorize(kid, undefined), { code: 'ring_stale' })
  })

  it('is false at once for a revoked key, and for an unknown key', async () => {
    const { scheduler, clock, store, active } = setUp()
    await scheduler.runOnce()
    const { kid, ring } = active()
    const order = { ring, at: clock.now(), reason: 'leaked', actor: 'test' }
    await record(store, SEALER, { ...order, type: 'revoke', kid })
    assert.equal(scheduler.authorize(kid, undefined), undefined, 'this node has not loaded it yet')
    await scheduler.runOnce()
    assert.throws(() => scheduler.authorize(kid, undefined), /revoked or has retired/)
    assert.throws(() => scheduler.authorize('unknown', undefined), { code: 'ring_stale' })
    assert.equal(scheduler.authorize(active().kid, undefined), undefined)
  })
})
