import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { serializedKey } from '../../src/conformance/records.ts'
import { createMemoryKeyStore } from '../../src/ring/memory-key-store.ts'
import { turnStoredRings } from '../../src/ring/operate.ts'
import { plan } from '../../src/ring/plan.ts'
import { createRings } from '../../src/ring/rings.ts'
import type { IssuerStores } from '../../src/server/stores.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { policiesOf } from '../support/rings.ts'
import { DAY, POLICY_90_DAYS, SEALER, setUp } from '../support/scheduler.ts'
import { record } from '../support/sealer.ts'

describe('a revoked key that does not open', () => {
  for (const [generation, what] of [
    [1, 'the active key'],
    [2, 'the standby'],
  ] as const) {
    it(`as ${what} is no obstacle: the ring has a signer and a successor again`, async () => {
      const memory = createMemoryKeyStore()
      await setUp(memory).scheduler.runOnce()
      const damaged = (await memory.load()).keys[generation - 1]
      assert.ok(damaged)
      await memory.eraseKey({ ...damaged, data: 'damaged' })
      const clock = createFakeClock()
      const { scheduler, active } = setUp(memory, clock)
      await assert.rejects(scheduler.runOnce(), { code: 'seal_broken' })
      const { ring, id: kid } = damaged
      const order = { ring, kid, at: clock.now(), reason: 'it does not open', actor: 'test' }
      await record(memory, SEALER, { ...order, type: 'revoke' })
      await scheduler.runOnce()
      assert.notEqual(active().kid, kid)
      const phases = scheduler.status.view?.states.map((state) => state.phase) ?? []
      assert.equal(phases[generation - 1], 'revoked')
      assert.ok(phases.includes('pre-active'))
    })
  }
})

describe('what an attacker or an accident can do', () => {
  it('a store that is emptied under a running server is an error, and nothing is made', async () => {
    const memory = createMemoryKeyStore()
    const { scheduler, active } = setUp(memory)
    await scheduler.runOnce()
    const { kid } = active()
    for (const { id } of (await memory.load()).keys) await memory.removeKey(id)
    await assert.rejects(scheduler.runOnce(), { code: 'store_unreadable' })
    assert.deepEqual((await memory.load()).keys, [])
    assert.equal(active().kid, kid)
  })

  it('a first start that was cut off after one ring gives the others a signer as well', async () => {
    const memory = createMemoryKeyStore()
    const clock = createFakeClock()
    const first = { ...POLICY_90_DAYS, ring: 'sig/RS256', algorithm: 'RS256' }
    await setUp(memory, clock).scheduler.runOnce()
    await clock.pass(60)
    const facts = await createRings({ store: memory, sealer: SEALER }).load()
    const policies = policiesOf(POLICY_90_DAYS, first)
    const made = plan(facts, policies, clock.now()).actions
    assert.ok(made.some((action) => action.type === 'create' && action.activatesAt < clock.now()))
    await clock.pass(3600)
    const later = plan(facts, policies, clock.now()).actions
    assert.ok(
      !later.some((action) => action.type === 'create' && action.activatesAt <= clock.now()),
    )
  })

  it('under a clock that is years ahead from the start destroys nothing for maxRingAge', async () => {
    const memory = createMemoryKeyStore()
    const clock = createFakeClock()
    await setUp(memory, clock).scheduler.runOnce()
    clock.jump(3 * 365 * DAY)
    const { scheduler } = setUp(memory, clock)
    await scheduler.runOnce()
    const { keys } = await memory.load()
    assert.ok(keys.some((key) => key.generation === 1))
  })

  it('a command under a clock that is years ahead deletes and erases nothing', async () => {
    const memory = createMemoryKeyStore()
    const clock = createFakeClock()
    await setUp(memory, clock).scheduler.runOnce()
    const before = (await memory.load()).keys
    const now = clock.now() + 3 * 365 * DAY
    const policies = policiesOf(POLICY_90_DAYS)
    const due = plan(
      await createRings({ store: memory, sealer: SEALER }).load(),
      policies,
      now,
    ).actions
    assert.ok(due.some(({ type }) => type === 'delete' || type === 'erase'))
    // A command uses of its stores only these two.
    const stores = { keys: memory, openSealer: async () => SEALER } as unknown as IssuerStores
    await turnStoredRings({
      ...{ store: stores.keys, openSealer: stores.openSealer },
      ...{ policies, now, witness: undefined },
    })
    const after = (await memory.load()).keys
    for (const key of before)
      assert.deepEqual(
        after.find(({ id }) => id === key.id),
        key,
      )
  })

  it('a key that does not open does not hide the revocation of another', async () => {
    const memory = createMemoryKeyStore()
    const { scheduler, clock, active } = setUp(memory)
    await scheduler.runOnce()
    const { kid, ring } = active()
    const standby = scheduler.status.view?.states[1]?.key.kid
    const at = clock.now()
    const order = { ring, at, reason: 'leaked', actor: 'test' }
    const promote = { ...order, type: 'promote', kid: standby ?? '', activatesAt: at } as const
    await record(memory, SEALER, promote, { ...order, type: 'revoke', kid })
    const sealed = { ...serializedKey(3), ring, id: 'of another key-encryption key' }
    await memory.addKey(sealed)
    await assert.rejects(scheduler.runOnce(), { code: 'seal_broken' })
    assert.equal(active().kid, standby)
    assert.equal(scheduler.status.maySign(kid), false)
  })

  it('a key may not sign from the second it is revoked, or is retired for twice the skew', async () => {
    const { scheduler, clock, store, active } = setUp()
    await scheduler.runOnce()
    const { kid, ring } = active()
    assert.ok(scheduler.status.maySign(kid))
    const retiresAt = scheduler.status.view?.states[0]?.retiresAt ?? 0
    const due = { ring, at: clock.now(), reason: 'test', actor: 'test' }
    await clock.pass(retiresAt - clock.now() + 60)
    await scheduler.runOnce()
    assert.ok(scheduler.status.maySign(kid), 'a request that began before may finish')
    await clock.pass(60)
    assert.equal(scheduler.status.maySign(kid), false)
    const next = active().kid
    await record(store, SEALER, { ...due, type: 'revoke', kid: next, at: clock.now() })
    await scheduler.runOnce()
    assert.equal(scheduler.status.maySign(next), false)
  })

  it('a machine that slept is too old to sign until it has turned', async () => {
    const { scheduler, clock } = setUp()
    await scheduler.runOnce()
    clock.jump(2 * 3600)
    assert.ok(scheduler.status.obstacle())
    await scheduler.runOnce()
    assert.equal(scheduler.status.obstacle(), undefined)
  })
})
