import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { activeKey, nextChangeAt, ringStates, successorDueAt } from '../../src/ring/lifecycle.ts'
import { plan } from '../../src/ring/plan.ts'
import { key, POLICY, policiesOf } from '../support/rings.ts'

const NOW = 10_000
/** Made a moment ago, where the cryptoperiod is 1000 s and a key is published for 100 s before it signs. */
const mine = (signsUntil?: number) =>
  key(1, {
    ...{ createdAt: NOW - 10, activatesAt: NOW - 10 },
    ...(signsUntil !== undefined && { signsUntil }),
  })

function successor(signsUntil?: number) {
  const { actions } = plan({ keys: [mine(signsUntil)], events: [] }, policiesOf(POLICY), NOW)
  const made = actions.find((action) => action.type === 'create')
  return made?.type === 'create' ? made.activatesAt : undefined
}

describe('a key whose old system had planned when it stops to sign', () => {
  it('has a successor for that instant, be it before or after a cryptoperiod', () => {
    assert.equal(successor(), NOW - 10 + POLICY.cryptoperiod)
    assert.equal(successor(NOW + 400), NOW + 400)
    assert.equal(successor(NOW + 5000), NOW + 5000)
  })

  it('has no successor that relying parties have not known for long enough', () => {
    assert.equal(successor(NOW + 20), NOW + POLICY.propagation)
  })

  it('has its successor published in time in a ring without standby', () => {
    const policy = { ...POLICY, standby: false }
    const facts = { keys: [mine(NOW + 400)], events: [] }
    const active = activeKey(ringStates(facts, policy, NOW))
    assert.ok(active)
    assert.equal(successorDueAt(active, policy), NOW + 300)
    assert.equal(nextChangeAt(facts, policiesOf(policy), NOW), NOW + 300)
    assert.deepEqual(plan(facts, policiesOf(policy), NOW).actions, [])
  })
})
