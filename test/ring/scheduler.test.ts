import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { StoreUnavailable } from '../../src/errors.ts'
import type { KeyStore } from '../../src/ring/key-store.ts'
import { createMemoryKeyStore } from '../../src/ring/memory-key-store.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { DAY, POLICY_90_DAYS, SEALER, setUp } from '../support/scheduler.ts'
import { record } from '../support/sealer.ts'

const RECORD = { ring: 'sig/ES256', reason: 'test', actor: 'test' } as const

/** A store that fails while `down` is set. */
function flaky(store = createMemoryKeyStore()) {
  const state = { down: false, loads: 0 }
  const guard = async <T>(work: () => Promise<T>): Promise<T> => {
    if (state.down) throw new StoreUnavailable('the test took the store away')
    return work()
  }
  const wrapped: KeyStore = {
    load: () => {
      state.loads += 1
      return guard(() => store.load())
    },
    addKey: (key) => guard(() => store.addKey(key)),
    eraseKey: (key) => guard(() => store.eraseKey(key)),
    removeKey: (id) => guard(() => store.removeKey(id)),
    addEvents: (events) => guard(() => store.addEvents(events)),
    addTogether: (records) => guard(() => store.addTogether(records)),
  }
  return { store: wrapped, state }
}

describe('the scheduler', () => {
  it('makes an active key and a standby at the first turn and nothing at the second', async () => {
    const { scheduler, store, views } = setUp()
    await scheduler.runOnce()
    const first = await store.load()
    await scheduler.runOnce()
    assert.deepEqual(await store.load(), first)
    assert.deepEqual(
      first.keys.map((key) => key.generation),
      [1, 2],
    )
    assert.equal(views.length, 1, 'a view that nobody can tell apart was published')
  })

  it('switches at the very second, not at the next refresh', async () => {
    const { scheduler, clock, active, views } = setUp(undefined, undefined, 200 * DAY)
    await scheduler.runOnce()
    scheduler.start()
    await clock.pass(1)
    const [first, second] = views[0]?.states ?? []
    assert.ok(first && second)
    assert.equal(active().kid, first.key.kid)
    await clock.pass(second.activatesAt - clock.now() - 1)
    assert.equal(active().kid, first.key.kid)
    await clock.pass(1)
    assert.equal(active().kid, second.key.kid)
    await scheduler.stop()
  })

  it('turns for years by itself: erases, unpublishes, archives and deletes', async () => {
    const { scheduler, clock, store, active } = setUp()
    await scheduler.runOnce()
    const signed = new Set<string>()
    for (let day = 0; day < 3 * 365; day += 1) {
      await clock.pass(DAY)
      await scheduler.runOnce()
      signed.add(active().kid)
    }
    const phases = scheduler.status.view?.states.map((state) => state.phase) ?? []
    assert.equal(signed.size, 13)
    assert.deepEqual(phases.slice(-2), ['active', 'pre-active'])
    assert.ok(phases.filter((phase) => phase === 'archived').length >= 4)
    const { keys } = await store.load()
    const opened = await Promise.all(keys.map((key) => SEALER.open(key)))
    assert.equal(opened.filter((key) => key.hasPrivateHalf).length, 2)
    assert.ok(
      !keys.some((key) => key.generation < 5),
      'records whose archive time is over are kept',
    )
  })

  it('wakes when it is told to', async () => {
    const { store, state } = flaky()
    const { scheduler, clock } = setUp(store)
    await scheduler.runOnce()
    scheduler.start()
    await clock.pass(1)
    const before = state.loads
    scheduler.wake()
    await clock.settle()
    assert.equal(state.loads, before + 1)
    await scheduler.stop()
  })

  it('keeps its keys while the store is away, tries again with growing pauses, and recovers', async () => {
    const { store, state } = flaky()
    const { scheduler, clock, active, lines } = setUp(store)
    await scheduler.runOnce()
    scheduler.start()
    await clock.pass(60)
    const { kid } = active()
    state.down = true
    const before = state.loads
    await clock.pass(600)
    assert.equal(active().kid, kid)
    assert.ok(scheduler.status.failures > 5)
    assert.ok(state.loads - before < 40, `${state.loads - before} tries in ten minutes`)
    assert.match(scheduler.status.failure?.message ?? '', /took the store away/)
    state.down = false
    await clock.pass(60)
    assert.equal(scheduler.status.failures, 0)
    assert.ok(lines.some((line) => line.includes('can be loaded again')))
    await scheduler.stop()
  })

  it('has a ring too old to sign with once the store was away for longer than maxRingAge', async () => {
    const { store, state } = flaky()
    const { scheduler, clock } = setUp(store)
    assert.ok(scheduler.status.obstacle(), 'fresh before the first load')
    await scheduler.runOnce()
    scheduler.start()
    await clock.pass(30)
    assert.equal(scheduler.status.obstacle(), undefined)
    state.down = true
    await clock.pass(3500)
    assert.equal(scheduler.status.obstacle(), undefined)
    await clock.pass(200)
    assert.ok(scheduler.status.obstacle())
    state.down = false
    await clock.pass(60)
    assert.equal(scheduler.status.obstacle(), undefined)
    await scheduler.stop()
  })

  it('continues to sign with the old key while its successor cannot be stored', async () => {
    const memory = createMemoryKeyStore()
    const { scheduler, clock, active } = setUp(memory)
    await scheduler.runOnce()
    const second = scheduler.status.view?.states[1]
    assert.ok(second)
    const full: KeyStore = {
      ...memory,
      addKey: () => Promise.reject(new StoreUnavailable('disk full')),
    }
    const stuck = setUp(full, clock)
    await clock.pass(second.activatesAt - clock.now())
    await assert.rejects(stuck.scheduler.runOnce(), { code: 'store_unavailable' })
    await scheduler.runOnce()
    assert.equal(active().kid, second.key.kid, 'activation needs no write')
  })

  it('never replaces a key that does not open, and keeps the keys in use', async () => {
    const memory = createMemoryKeyStore()
    const { scheduler, active } = setUp(memory)
    await scheduler.runOnce()
    const { kid } = active()
    const broken = setUp({
      ...memory,
      load: async () => {
        const { keys, events } = await memory.load()
        return { keys: keys.map((key) => ({ ...key, activatesAt: key.activatesAt + 1 })), events }
      },
    })
    await assert.rejects(broken.scheduler.runOnce(), { code: 'seal_broken' })
    assert.equal((await memory.load()).keys.length, 2)
    assert.equal(active().kid, kid)
  })

  it('after a restart with the clock a day back signs with a key that has its private half', async () => {
    const { scheduler, clock, store, active } = setUp()
    await scheduler.runOnce()
    const second = scheduler.status.view?.states[1]
    assert.ok(second)
    await clock.pass(second.activatesAt - clock.now() + 200)
    await scheduler.runOnce()
    assert.equal(active().kid, second.key.kid)
    clock.jump(-DAY)
    const restarted = setUp(store, clock)
    await restarted.scheduler.runOnce()
    assert.equal(restarted.active().kid, second.key.kid)
    await clock.pass(DAY)
    await restarted.scheduler.runOnce()
    assert.equal(restarted.active().kid, second.key.kid)
  })

  it('with the clock set back a day while it runs continues to sign and loses no key', async () => {
    const { scheduler, clock, store, active, lines } = setUp()
    await scheduler.runOnce()
    const second = scheduler.status.view?.states[1]
    assert.ok(second)
    await clock.pass(second.activatesAt - clock.now() + 30)
    await scheduler.runOnce()
    clock.jump(-DAY)
    await scheduler.runOnce()
    // Its private half is still there, so the key of that day signs; RPs have it.
    assert.ok(active())
    assert.ok(lines.some((line) => line.includes('moved by -86400 s')))
    assert.equal((await store.load()).keys.length, 3)
  })

  it('after the clock is set forward a day destroys nothing until maxRingAge has passed', async () => {
    const { scheduler, clock, store, active, lines } = setUp()
    await scheduler.runOnce()
    const second = scheduler.status.view?.states[1]
    assert.ok(second)
    await clock.pass(second.activatesAt - clock.now() - DAY / 2)
    await scheduler.runOnce()
    const first = active()
    clock.jump(DAY)
    await scheduler.runOnce()
    assert.equal(active().kid, second.key.kid)
    assert.ok(lines.some((line) => line.includes('moved by 86400 s')))
    const erased = async () => {
      const record = (await store.load()).keys.find((key) => key.id === first.kid)
      return record && !(await SEALER.open(record)).hasPrivateHalf
    }
    assert.equal(await erased(), false)
    // Somebody sets it right again: the first key signs on, as if nothing had happened.
    clock.jump(-DAY)
    await scheduler.runOnce()
    assert.equal(active().kid, first.kid)
    clock.jump(DAY)
    await clock.pass(3700)
    await scheduler.runOnce()
    await clock.pass(3700)
    await scheduler.runOnce()
    assert.equal(await erased(), true)
  })

  it('with eight nodes on one store makes one key per generation and all agree', async () => {
    const store = createMemoryKeyStore()
    const clock = createFakeClock()
    const nodes = Array.from({ length: 8 }, () => setUp(store, clock))
    for (let turn = 0; turn < 5; turn++) {
      await Promise.all(nodes.map((node) => node.scheduler.runOnce()))
      await Promise.all(nodes.map((node) => node.scheduler.runOnce()))
      assert.equal(new Set(nodes.map((node) => node.scheduler.status.view?.hash)).size, 1)
      await clock.pass(90 * DAY)
    }
    const { keys } = await store.load()
    assert.deepEqual(
      keys.map((key) => key.generation),
      [1, 2, 3, 4, 5, 6],
    )
  })
})

it('a promotion to a later instant is a new view, because no cache may outlive that instant', async () => {
  const { scheduler, store, clock, views } = setUp()
  await scheduler.runOnce()
  const standby = scheduler.status.view?.states[1]?.key
  assert.ok(standby)
  const { kid, ring } = standby
  const at = clock.now()
  const event = { kid, ring, at, activatesAt: at + 600, reason: 'test', actor: 'test' }
  await record(store, SEALER, { ...event, type: 'promote' })
  await scheduler.runOnce()
  assert.equal(views.length, 2)
  assert.equal(views[1]?.nextPublishedChangeAt, at + 600)
})

describe('the scheduler of a node among others', () => {
  it('switches to the standby on time while the store is away, like all other nodes', async () => {
    const { store, state } = flaky()
    const { scheduler, clock, active } = setUp(store, undefined, 1800)
    await scheduler.runOnce()
    scheduler.start()
    const [, standby] = scheduler.status.view?.states ?? []
    assert.ok(standby)
    await clock.pass(standby.activatesAt - clock.now() - 600)
    state.down = true
    await clock.pass(599)
    assert.notEqual(active().kid, standby.key.kid)
    await clock.pass(2)
    assert.equal(active().kid, standby.key.kid, 'it waited for the store')
    assert.equal(scheduler.status.obstacle(), undefined)
    await scheduler.stop()
  })

  it('does not make, publish or sign with keys while its clock is wrong, and continues once it is right', async () => {
    const clock = createFakeClock()
    const ahead = 3600
    let isSet = false
    const time = async () => clock.exact() - (isSet ? 0 : ahead)
    const { scheduler, store, views } = setUp(createMemoryKeyStore(), clock, 30, time)
    await assert.rejects(scheduler.runOnce(), { code: 'clock_wrong', message: /3600.0 s ahead/ })
    assert.deepEqual(await store.load(), { keys: [], events: [] })
    assert.equal(views.length, 0)
    isSet = true
    await scheduler.runOnce()
    const kid = views[0]?.states[0]?.key.kid ?? ''
    assert.equal(scheduler.authorize(kid, undefined), undefined)

    // Somebody sets it under the running server: the very next signature is refused.
    clock.jump(-120)
    assert.throws(() => scheduler.authorize(kid, undefined), { code: 'ring_stale' })
    assert.match(scheduler.status.obstacle() ?? '', /120.0 s behind/)
    clock.jump(120)
    assert.equal(scheduler.authorize(kid, undefined), undefined)
  })

  it('plans by the right time, even if the clock was wrong when its turn began', async () => {
    const clock = createFakeClock()
    let ahead = 0
    const time = async () => {
      // Somebody sets the clock right while the database is asked.
      clock.jump(-ahead)
      return clock.exact()
    }
    const { scheduler, store } = setUp(createMemoryKeyStore(), clock, 30, time)
    await scheduler.runOnce()
    const before = await store.load()
    ahead = 100 * DAY
    clock.jump(ahead)
    await scheduler.runOnce()
    assert.deepEqual(await store.load(), before)
  })

  it('publishes nothing by a clock that was set during its turn', async () => {
    const clock = createFakeClock()
    let ahead = 0
    const { store, state } = flaky()
    const load = async () => {
      if (ahead > 0) clock.jump(ahead)
      return store.load()
    }
    const time = async () => clock.exact()
    const { scheduler, views } = setUp({ ...store, load }, clock, 30, time)
    await scheduler.runOnce()
    ahead = 200 * DAY
    await assert.rejects(scheduler.runOnce(), { code: 'clock_wrong' })
    clock.jump(-ahead)
    assert.equal(scheduler.status.obstacle(), undefined)
    assert.equal(views.length, 1)
    assert.deepEqual(
      scheduler.status.view?.states.map(({ phase }) => phase),
      ['active', 'pre-active'],
    )
    assert.ok(state.loads > 1)
  })

  it('loads its ring at the first request after the machine slept', async () => {
    const { store, state } = flaky()
    const { scheduler, clock } = setUp(store, undefined, 1800)
    await scheduler.runOnce()
    scheduler.start()
    await clock.pass(1)
    const before = state.loads
    clock.jump(2 * 3600)
    await clock.settle()
    assert.equal(state.loads, before, 'a sleep has ended early')
    assert.match(scheduler.status.obstacle() ?? '', /longer than maxRingAge/)
    await clock.settle()
    assert.equal(scheduler.status.obstacle(), undefined)
    await scheduler.stop()
  })

  it('records the expiry of a token that outlives its key, before it is signed, and once', async () => {
    const { scheduler, store, active, clock } = setUp()
    await scheduler.runOnce()
    const { kid } = active()
    const covered = clock.now() + POLICY_90_DAYS.retention - POLICY_90_DAYS.clockSkew
    assert.equal(scheduler.authorize(kid, covered), undefined, 'an ordinary token costs a write')
    await scheduler.authorize(kid, covered + 1)
    await scheduler.authorize(kid, covered + 2)
    const { events } = await store.load()
    assert.deepEqual(
      events.map((event) => event.type),
      ['valid-until'],
    )
    await scheduler.runOnce()
    assert.ok((scheduler.status.view?.states[0]?.validUntil ?? 0) >= covered + 2)
  })

  it('does not sign a token whose expiry it cannot record', async () => {
    const { store, state } = flaky()
    const { scheduler, active, clock } = setUp(store)
    await scheduler.runOnce()
    const { kid } = active()
    state.down = true
    assert.equal(scheduler.authorize(kid, clock.now() + 3600), undefined)
    await assert.rejects(async () => scheduler.authorize(kid, clock.now() + 100 * DAY), {
      code: 'store_unavailable',
    })
  })

  it('looks for an unknown key at most once a second', async () => {
    const { store, state } = flaky()
    const { scheduler, active, clock } = setUp(store)
    await scheduler.runOnce()
    const loads = () => state.loads
    const before = loads()
    await scheduler.lookFor(active().kid)
    assert.equal(loads(), before, 'it looked for a key that it knows')
    for (let i = 0; i < 10; i++) await scheduler.lookFor(`invented ${i}`)
    assert.equal(loads(), before + 1)
    await clock.pass(1)
    await scheduler.lookFor('invented')
    assert.equal(loads(), before + 2)
    state.down = true
    await clock.pass(1)
    await scheduler.lookFor('invented')
  })

  it('adds keys and events again that a store has lost, and none that was deleted', async () => {
    const memory = createMemoryKeyStore()
    const { scheduler, clock, lines } = setUp(memory)
    await scheduler.runOnce()
    await clock.pass(80 * DAY)
    const early = await memory.load()
    const [, standby] = early.keys
    assert.ok(standby)
    await clock.pass(11 * DAY)
    await scheduler.runOnce()
    const revoke = { ...RECORD, type: 'revoke', kid: standby.id, at: clock.now() } as const
    await record(memory, SEALER, revoke)
    await scheduler.runOnce()
    const late = await memory.load()
    assert.ok(late.keys.length > early.keys.length && late.events.length > 0)

    // The database fails over to a replica that has not heard of the last days.
    const replica = createMemoryKeyStore()
    for (const key of early.keys) await replica.addKey(key)
    Object.assign(memory, replica)
    await scheduler.runOnce()
    const healed = await memory.load()
    assert.deepEqual(
      healed.keys.map((key) => [key.generation, key.id]),
      late.keys.map((key) => [key.generation, key.id]),
    )
    assert.deepEqual(healed.events, late.events)
    assert.ok(lines.some((line) => line.includes('has lost records that this node knows')))
    const before = lines.length
    await scheduler.runOnce()
    assert.equal(lines.length, before, 'it goes on about it')
  })

  it('retries to add lost records again while the store cannot be written', async () => {
    const memory = createMemoryKeyStore()
    const { store, state } = readOnly(memory)
    const { scheduler, clock } = setUp(store)
    await scheduler.runOnce()
    await clock.pass(10)
    const before = await memory.load()
    const [first] = before.keys
    assert.ok(first)
    const replica = createMemoryKeyStore()
    await replica.addKey(first)
    Object.assign(memory, replica)
    state.isReadOnly = true
    await assert.rejects(scheduler.runOnce(), { code: 'store_unavailable' })
    state.isReadOnly = false
    await scheduler.runOnce()
    assert.deepEqual((await memory.load()).keys, before.keys)
  })

  it('on a read-only store learns of a revocation, and its ring stays young', async () => {
    const memory = createMemoryKeyStore()
    const { store, state } = readOnly(memory)
    const { scheduler, clock, active } = setUp(store)
    await scheduler.runOnce()
    const { kid, ring } = active()
    await record(memory, SEALER, { ...RECORD, ring, type: 'revoke', kid, at: clock.now() })
    state.isReadOnly = true
    await assert.rejects(scheduler.runOnce(), { code: 'store_unavailable' })
    assert.equal(scheduler.status.maySign(kid), false, 'a revoked key signs')
    await clock.pass(3000)
    await assert.rejects(scheduler.runOnce())
    await clock.pass(3000)
    assert.equal(scheduler.status.obstacle(), undefined, 'it can load the ring, and calls it old')
  })

  it('at a restart on a read-only store serves the stored keys', async () => {
    const memory = createMemoryKeyStore()
    const { scheduler, clock, active } = setUp(memory)
    await scheduler.runOnce()
    const second = scheduler.status.view?.states[1]
    assert.ok(second)
    await clock.pass(second.activatesAt - clock.now() + 1)
    const { store, state } = readOnly(memory)
    state.isReadOnly = true
    const restarted = setUp(store, clock)
    await assert.rejects(restarted.scheduler.runOnce(), { code: 'store_unavailable' })
    assert.equal(restarted.active().kid, second.key.kid)
    assert.equal(restarted.scheduler.status.obstacle(), undefined)
    await scheduler.runOnce()
    assert.equal(active().kid, second.key.kid)
  })

  it('with a ring too old to sign signs only once the loaded view is published, however long that takes', async () => {
    const memory = createMemoryKeyStore()
    const { store, state } = flaky(memory)
    const erasing = Promise.withResolvers<void>()
    const slow: KeyStore = {
      ...store,
      eraseKey: async (key) => {
        await erasing.promise
        await store.eraseKey(key)
      },
    }
    const clock = createFakeClock()
    const other = setUp(memory, clock)
    const { scheduler } = setUp(slow, clock)
    await other.scheduler.runOnce()
    await scheduler.runOnce()
    // This node is cut off; meanwhile another one switches and makes a successor.
    state.down = true
    const second = scheduler.status.view?.states[1]
    assert.ok(second)
    await clock.pass(second.activatesAt - clock.now() + 1)
    await other.scheduler.runOnce()
    await clock.pass(3600)
    await assert.rejects(scheduler.runOnce())
    assert.notEqual(scheduler.status.obstacle(), undefined)
    // The node is back, and has a private half to erase.
    state.down = false
    const turn = scheduler.runOnce()
    await clock.settle()
    assert.notEqual(scheduler.status.obstacle(), undefined, 'it serves its old view')
    erasing.resolve()
    await turn
    assert.equal(scheduler.status.obstacle(), undefined)
    const generations = scheduler.status.view?.states.map(({ key }) => key.generation)
    assert.deepEqual(generations, [1, 2, 3])
  })

  it('keeps the revocations it knows while a key does not open and the store has lost them', async () => {
    const memory = createMemoryKeyStore()
    const { scheduler, clock, active } = setUp(memory)
    await scheduler.runOnce()
    const { kid, ring } = active()
    await record(memory, SEALER, { ...RECORD, ring, type: 'revoke', kid, at: clock.now() })
    await scheduler.runOnce()
    const { keys } = await memory.load()
    const damaged = createMemoryKeyStore()
    for (const key of keys) {
      const data = key.id === active().kid ? 'damaged' : key.data
      await damaged.addKey({ ...key, data })
    }
    Object.assign(memory, damaged)
    await assert.rejects(scheduler.runOnce(), { code: 'seal_broken' })
    assert.equal(scheduler.status.maySign(kid), false, 'a revoked key signs again')
  })

  it('that is woken during a turn turns once more after it', async () => {
    const memory = createMemoryKeyStore()
    let release: (() => void) | undefined
    let isSlow = false
    const slow: KeyStore = {
      ...memory,
      load: async () => {
        const stored = await memory.load()
        if (isSlow) await new Promise<void>((resolve) => (release = resolve))
        return stored
      },
    }
    const { scheduler, clock, active } = setUp(slow)
    await scheduler.runOnce()
    scheduler.start()
    await clock.pass(5)
    const { kid, ring } = active()
    isSlow = true
    const looking = scheduler.lookFor('somebody else')
    await clock.settle()
    isSlow = false
    await record(memory, SEALER, { ...RECORD, ring, type: 'revoke', kid, at: clock.now() })
    scheduler.wake()
    await clock.settle()
    release?.()
    await looking
    // Making a key takes a moment; no time passes for the scheduler.
    for (let i = 0; i < 500 && scheduler.status.maySign(kid); i++) await clock.settle()
    assert.equal(scheduler.status.maySign(kid), false, 'the wake-up was lost')
    await scheduler.stop()
  })
})

/** A store that can be read, and takes nothing while `isReadOnly` is set. */
function readOnly(memory: KeyStore) {
  const state = { isReadOnly: false }
  const guard = async <T>(work: () => Promise<T>): Promise<T> => {
    if (state.isReadOnly) throw new StoreUnavailable('the test made the store read-only')
    return work()
  }
  const store: KeyStore = {
    load: () => memory.load(),
    addKey: (key) => guard(() => memory.addKey(key)),
    eraseKey: (key) => guard(() => memory.eraseKey(key)),
    removeKey: (id) => guard(() => memory.removeKey(id)),
    addEvents: (events) => guard(() => memory.addEvents(events)),
    addTogether: (records) => guard(() => memory.addTogether(records)),
  }
  return { store, state }
}
