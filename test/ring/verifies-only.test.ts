import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { generateKey } from '../../src/ring/generate.ts'
import { type KeyFacts, keyEvent } from '../../src/ring/key.ts'
import { publishedCount, type RingFacts, ringStates } from '../../src/ring/lifecycle.ts'
import { createMemoryKeyStore } from '../../src/ring/memory-key-store.ts'
import { plan } from '../../src/ring/plan.ts'
import type { RingPolicy, RotationPolicies } from '../../src/ring/policy.ts'
import { createRings } from '../../src/ring/rings.ts'
import { testSealer } from '../support/sealer.ts'

const DAY = 86_400
const policy: RingPolicy = {
  ring: 'sig/ES256',
  algorithm: 'ES256',
  configured: true,
  published: true,
  cryptoperiod: 90 * DAY,
  propagation: 14 * DAY,
  retention: 14 * DAY,
  archive: 400 * DAY,
  standby: true,
  maxRingAge: 3600,
  clockSkew: 60,
}
const policies: RotationPolicies = { rings: [policy], policyFor: () => policy }
const NOW = 1_800_000_000

function key(kid: string, generation: number, more: Partial<KeyFacts> = {}): KeyFacts {
  return {
    kid,
    ring: policy.ring,
    generation,
    algorithm: 'ES256',
    createdAt: NOW - 100 * DAY,
    activatesAt: NOW,
    retention: 5 * DAY,
    hasPrivateHalf: true,
    ...more,
  }
}

const visitor = key('visitor', 2, { verifiesOnly: true, hasPrivateHalf: false })
const signer = key('signer', 1, { activatesAt: NOW - DAY })

function phases(facts: RingFacts, at: number): string {
  return ringStates(facts, policy, at)
    .map(({ key: { kid }, phase }) => `${kid} ${phase}`)
    .join(', ')
}

describe('a key that only verifies', () => {
  const facts = { keys: [signer, visitor], events: [] }

  it('is published until its own end, whatever the policy, and retires no other key', () => {
    assert.equal(phases(facts, NOW), 'signer active, visitor retired')
    assert.equal(phases(facts, NOW + 5 * DAY - 1), 'signer active, visitor retired')
    assert.equal(phases(facts, NOW + 5 * DAY), 'signer active, visitor archived')
    assert.equal(publishedCount(facts, policies, NOW), 2)
  })

  it('never signs, so a first start makes a key that signs at once', () => {
    const alone = { keys: [visitor], events: [] }
    assert.equal(phases(alone, NOW), 'visitor retired')
    const { actions } = plan(alone, policies, NOW)
    const made = actions.flatMap((action) =>
      action.type === 'create' ? [[action.generation, action.activatesAt <= NOW]] : [],
    )
    assert.deepEqual(made, [
      [3, true],
      [4, false],
    ])
  })

  it('stays longer by a recorded expiry, and not at all once it is revoked', () => {
    const base = { ring: policy.ring, kid: 'visitor', at: NOW, reason: 'test', actor: 'test' }
    const longer = keyEvent({ ...base, type: 'valid-until', validUntil: NOW + 9 * DAY })
    assert.equal(
      phases({ ...facts, events: [longer] }, NOW + 9 * DAY),
      'signer active, visitor retired',
    )
    const revoked = keyEvent({ ...base, type: 'revoke', place: null })
    assert.equal(phases({ ...facts, events: [revoked] }, NOW), 'signer active, visitor revoked')
  })

  it('that is revoked is followed by a switch to a key that is new to every RP', () => {
    const base = { ring: policy.ring, kid: 'visitor', at: NOW, reason: 'test', actor: 'test' }
    const events = [keyEvent({ ...base, type: 'revoke', place: null })]
    const { actions } = plan({ ...facts, events }, policies, NOW)
    const [made] = actions.flatMap((action) => (action.type === 'create' ? action : []))
    assert.equal(made?.activatesAt, NOW + policy.propagation)
  })

  it('may get its private half later at a node that knows it without', async () => {
    const [store, sealer] = [createMemoryKeyStore(), testSealer()]
    const rings = createRings({ store, sealer })
    const { kid, jwk } = await generateKey('ES256')
    const { d: _, ...half } = jwk
    const facts = { ...visitor, kid, generation: 1 }
    await store.addKey(await sealer.seal(facts, half, []))
    const before = await rings.load()
    rings.remember(before)
    const { verifiesOnly: __, ...own } = facts
    const whole = await sealer.seal({ ...own, generation: 2 }, jwk, [])
    await store.addTogether({ keys: [whole], events: [], replaced: before.records.keys })
    const [key, ...others] = (await rings.load()).keys
    assert.deepEqual([key?.hasPrivateHalf, key?.generation, others], [true, 2, []])
    assert.equal(rings.wasErased(kid), false)
  })
})
