import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { temporaryFolder } from '../../lab/temporary.ts'
import { serializedKey as anyKey } from '../../src/conformance/records.ts'
import { openDeployment } from '../../src/ring/deployment.ts'
import { createFileKeyStore } from '../../src/ring/file-key-store.ts'
import type { KeyStore, SerializedKey } from '../../src/ring/key-store.ts'
import { createMemoryKeyStore } from '../../src/ring/memory-key-store.ts'
import { createSealer, type Kek } from '../../src/ring/seal.ts'
import { createDeploymentSealer } from '../../src/ring/sealer.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import { DAY, SEALER, setUp } from '../support/scheduler.ts'
import { record, testDeployment, testSealer } from '../support/sealer.ts'

/** What somebody can do who writes the key store and has no key-encryption key. */

const ORDER = { ring: 'sig/ES256', reason: 'it leaked', actor: 'ada' } as const

/** A store that can be written past its contract, as with a SQL prompt. */
function writable() {
  const store = createMemoryKeyStore()
  const become = async (change: {
    readonly keys?: (key: SerializedKey) => SerializedKey | undefined
    readonly events?: (id: string) => boolean
  }): Promise<void> => {
    const { keys, events } = await store.load()
    const other = createMemoryKeyStore()
    for (const key of keys) {
      const kept = change.keys ? change.keys(key) : key
      if (kept) await other.addKey(kept)
    }
    await other.addEvents(events.filter(({ id }) => change.events?.(id) ?? true))
    Object.assign(store, other)
  }
  return { store, become }
}

/** A ring whose first key was revoked: the second signs, the third was made since. */
async function revokedRing() {
  const { store, become } = writable()
  const node = setUp(store)
  await node.scheduler.runOnce()
  await node.clock.pass(20 * DAY)
  const leaked = node.active().kid
  const at = node.clock.now()
  const [event] = await record(store, SEALER, { ...ORDER, type: 'revoke', kid: leaked, at })
  assert.ok(event)
  await node.scheduler.runOnce()
  assert.notEqual(node.active().kid, leaked)
  return { ...node, become, leaked, event }
}

const phaseOf = ({ scheduler }: ReturnType<typeof setUp>, kid: string) =>
  scheduler.status.view?.states.find(({ key }) => key.kid === kid)?.phase

describe('a revocation', () => {
  it('that somebody deletes is put back by a node that runs', async () => {
    const node = await revokedRing()
    await node.become({ events: (id) => id !== node.event.id })
    await node.scheduler.runOnce()
    assert.ok((await node.store.load()).events.some(({ id }) => id === node.event.id))
    assert.equal(phaseOf(node, node.leaked), 'revoked')
  })

  it('that somebody edits is written anew by a node that runs', async () => {
    const node = await revokedRing()
    await node.store.addEvents([{ ...node.event, data: `${node.event.data}x` }])
    await node.scheduler.runOnce()
    const { events } = await node.store.load()
    assert.deepEqual(
      events.find(({ id }) => id === node.event.id),
      node.event,
    )
    assert.equal(phaseOf(node, node.leaked), 'revoked')
  })

  for (const [what, spoil] of [
    ['deletes', (node) => node.become({ events: (id) => id !== node.event.id })],
    ['edits', (node) => node.store.addEvents([{ ...node.event, data: 'edited' }])],
    ['deletes with every other event', (node) => node.become({ events: () => false })],
  ] satisfies readonly [
    string,
    (node: Awaited<ReturnType<typeof revokedRing>>) => Promise<void>,
  ][]) {
    it(`that somebody ${what} while no node runs is missed by the next start`, async () => {
      const node = await revokedRing()
      await spoil(node)
      const fresh = setUp(node.store, node.clock)
      await assert.rejects(fresh.scheduler.runOnce(), {
        code: 'store_incomplete',
        message: /lacks 1 event\(s\) that newer records name/,
      })
      assert.equal(fresh.scheduler.status.maySign(node.leaked), false)
    })
  }

  it('is hidden only together with a key that relying parties know', async () => {
    const node = await revokedRing()
    const { keys } = await node.store.load()
    const since = keys.filter((key) => key.created >= node.event.at).map(({ id }) => id)
    assert.ok(since.length > 0)
    for (const id of since) {
      await node.become({
        keys: (key) => (key.id === id ? undefined : key),
        events: () => false,
      })
      if (id === since.at(-1)) break
      await assert.rejects(setUp(node.store, node.clock).scheduler.runOnce(), {
        code: 'store_incomplete',
      })
    }
  })

  it('of an event that is missing does not hide the news of another one', async () => {
    const node = await revokedRing()
    const other = setUp(node.store, node.clock)
    await other.scheduler.runOnce()
    const { kid } = other.active()
    await record(node.store, SEALER, { ...ORDER, type: 'revoke', kid, at: node.clock.now() })
    // An event that this node has never seen, gone as soon as another one names it.
    const unknown = {
      ...ORDER,
      type: 'extend',
      kid: 'k',
      retention: 9,
      at: node.clock.now(),
    } as const
    const [gone] = await record(node.store, SEALER, unknown)
    await record(node.store, SEALER, { ...unknown, retention: 10 })
    await node.become({ events: (id) => id !== gone?.id })
    await assert.rejects(other.scheduler.runOnce(), { code: 'store_incomplete' })
    assert.equal(other.scheduler.status.maySign(kid), false)
  })

  it('that somebody invents is not followed, and the log says so once', async () => {
    const node = setUp()
    await node.scheduler.runOnce()
    const { kid } = node.active()
    await record(node.store, testSealer(), { ...ORDER, type: 'revoke', kid, at: 1 })
    await node.scheduler.runOnce()
    await node.scheduler.runOnce()
    assert.equal(node.active().kid, kid)
    assert.equal(node.lines.filter((line) => line.includes('fail their check')).length, 1)
  })
})

describe('a record that does not open', () => {
  for (const [what, place] of [
    ['the next generation', { generation: 4 }],
    ['a generation far ahead', { generation: 2_000_000_000 }],
    ['an old generation', { generation: 90 }],
  ] as const) {
    it(`and claims ${what} retires no key, also where a revocation by date covers it`, async () => {
      const node = setUp()
      await node.scheduler.runOnce()
      await node.clock.pass(20 * DAY)
      const at = node.clock.now()
      const before = { ...ORDER, type: 'revoke-before', createdBefore: at, places: [], at } as const
      await record(node.store, SEALER, before)
      await node.scheduler.runOnce()
      const { kid, generation } = node.active()
      const [any] = (await node.store.load()).keys
      assert.ok(any)
      await node.store.addKey({
        ...any,
        id: 'forged',
        created: 1,
        activatesAt: 1,
        data: 'x',
        ...place,
      })
      const fresh = setUp(node.store, node.clock)
      await fresh.scheduler.runOnce()
      assert.equal(fresh.active().kid, kid)
      await node.clock.pass(100 * DAY)
      await fresh.scheduler.runOnce()
      const next = fresh.active().generation
      assert.ok(next > generation && next < generation + 10, `generation ${next} signs`)
    })
  }

  it('and was revoked while it did not open holds no place in its ring', async () => {
    const node = setUp()
    await node.scheduler.runOnce()
    const { kid } = node.active()
    const [any] = (await node.store.load()).keys
    assert.ok(any)
    const forged = { ...any, id: 'forged', generation: 50, created: 1, activatesAt: 1, data: 'x' }
    await node.store.addKey(forged)
    await assert.rejects(node.scheduler.runOnce(), { code: 'seal_broken' })
    const at = node.clock.now()
    await record(node.store, SEALER, { ...ORDER, type: 'revoke', kid: 'forged', at, place: null })
    await node.scheduler.runOnce()
    assert.equal(node.active().kid, kid)
  })

  it('keeps its place where its revocation tells of it', async () => {
    const node = await revokedRing()
    const state = node.scheduler.status.view?.states.find(({ key }) => key.kid === node.leaked)
    assert.ok(state)
    const { generation, createdAt } = state.key
    const at = node.clock.now()
    const place = { kid: node.leaked, generation, createdAt, activatesAt: state.activatesAt }
    await record(node.store, SEALER, {
      ...ORDER,
      type: 'revoke',
      kid: node.leaked,
      at: at - 1,
      place,
    })
    await node.become({
      keys: (key) => (key.id === node.leaked ? { ...key, data: 'damaged', activatesAt: 9e9 } : key),
    })
    const fresh = setUp(node.store, node.clock)
    await fresh.scheduler.runOnce()
    const closed = fresh.scheduler.status.view?.states.find(({ key }) => key.kid === node.leaked)
    assert.equal(closed?.phase, 'revoked')
    assert.equal(closed?.activatesAt, state.activatesAt)
  })
})

it('an erased private half that comes back whole is noticed and erased once more', async () => {
  const { store, become } = writable()
  const node = setUp(store)
  await node.scheduler.runOnce()
  const { kid } = node.active()
  const whole = (await store.load()).keys.find(({ id }) => id === kid)
  assert.ok(whole)
  await node.clock.pass(91 * DAY)
  await node.scheduler.runOnce()
  const hasHalf = async () => {
    const found = (await store.load()).keys.find(({ id }) => id === kid)
    return found && (await SEALER.open(found)).hasPrivateHalf
  }
  assert.equal(await hasHalf(), false)
  await become({ keys: (key) => (key.id === kid ? whole : key) })
  assert.equal(await hasHalf(), true)
  await node.scheduler.runOnce()
  assert.equal(await hasHalf(), false)
  assert.ok(node.lines.some((line) => line.includes('somebody put an older record back')))
})

describe('the secret of the deployment', () => {
  const kek: Kek = { kid: 'kek', secret: new Uint8Array(32).fill(7) }
  const clock = createFakeClock()

  it('is the same for all nodes that start at once, and at every later start', async () => {
    const store = createMemoryKeyStore()
    const keys = createSealer([kek])
    const opened = await Promise.all(
      Array.from({ length: 8 }, () => openDeployment(store, keys, clock)),
    )
    assert.equal(new Set(opened.map(({ kid }) => kid)).size, 1)
    const again = await openDeployment(store, keys, clock)
    assert.deepEqual(again.key('events').export(), opened[0]?.key('events').export())
    assert.notDeepEqual(again.key('events').export(), again.key('artifacts').export())
  })

  it('follows the newest key-encryption key, so that an old one may go', async () => {
    const store = createMemoryKeyStore()
    const { kid } = await openDeployment(store, createSealer([kek]), clock)
    const newer: Kek = { kid: 'newer', secret: new Uint8Array(32).fill(8) }
    const [alone, both] = [createSealer([newer]), createSealer([newer, kek])]
    await assert.rejects(openDeployment(store, alone, clock), { code: 'kek_missing' })
    assert.equal((await openDeployment(store, both, clock)).kid, kid)
    assert.equal((await openDeployment(store, alone, clock)).kid, kid, 'the old one may go')
  })

  it('is put back as it was sealed last, not under a key-encryption key that may have gone', async () => {
    const store = createMemoryKeyStore()
    const { kid } = await openDeployment(store, createSealer([kek]), clock)
    const newer: Kek = { kid: 'newer', secret: new Uint8Array(32).fill(8) }
    const { record } = await openDeployment(store, createSealer([newer, kek]), clock)
    assert.deepEqual((await store.load()).keys, [record])
    assert.equal((await createSealer([newer]).open(record)).key.kid, kid)
  })

  it('that is gone while there are keys or events is never made anew', async () => {
    const keys = createSealer([kek])
    const spoilt: readonly ((store: KeyStore) => Promise<unknown>)[] = [
      (store) => store.addKey(anyKey(1, { ring: 'sig/ES256' })),
      (store) => store.addEvents([{ id: 'x', ring: 'x', type: 'x', at: 1, data: 'x' }]),
    ]
    for (const spoil of spoilt) {
      const store = createMemoryKeyStore()
      await spoil(store)
      const before = await store.load()
      await assert.rejects(openDeployment(store, keys, clock), {
        code: 'deployment_secret_missing',
      })
      assert.deepEqual(await store.load(), before)
    }
  })

  it('is not displaced by records that do not open', async () => {
    const store = createMemoryKeyStore()
    const keys = createSealer([kek])
    const { kid } = await openDeployment(store, keys, clock)
    await store.addKey(anyKey(2, { ring: 'deployment' }))
    const foreign = createSealer([{ kid: 'kek', secret: new Uint8Array(32).fill(9) }])
    const other = createMemoryKeyStore()
    const { record: theirs } = await openDeployment(other, foreign, clock)
    await store.addKey({ ...theirs, generation: 3 })
    assert.equal((await openDeployment(store, keys, clock)).kid, kid)
  })

  it('is not taken for one that was given up because of a copy of its record', async () => {
    const folder = await temporaryFolder()
    const store = createFileKeyStore(folder.path)
    const sealer = createSealer([kek])
    const ours = await openDeployment(store, sealer, clock)
    const event = await record(store, createDeploymentSealer(sealer, ours), {
      ...ORDER,
      type: 'revoke',
      kid: 'any',
      at: 1,
    })
    for (const [generation, data] of [
      [2, ours.record.data],
      [3, 'x'],
    ] as const) {
      const copy = JSON.stringify({ ...ours.record, generation, data })
      await writeFile(`${folder.path}/keys/deployment.${generation}.json`, copy)
      const found = await openDeployment(store, sealer, clock)
      assert.equal(found.kid, ours.kid)
      const opened = createDeploymentSealer(sealer, found)
      const { records } = await opened.openEvents((await store.load()).events)
      assert.deepEqual(records, event)
    }
    await folder.remove()
  })

  it('that is deleted while a node runs is put back by it', async () => {
    const { store, become } = writable()
    await store.addKey(SEALER.deployment.record)
    const node = setUp(store)
    await node.scheduler.runOnce()
    await become({ keys: (key) => (key.ring === 'deployment' ? undefined : key) })
    await node.scheduler.runOnce()
    const { keys } = await store.load()
    assert.deepEqual(
      keys.find(({ ring }) => ring === 'deployment'),
      SEALER.deployment.record,
    )
  })
})

it('a key that was sealed for another deployment does not open, also under the same key-encryption key', async () => {
  const secret = new Uint8Array(32).fill(7)
  const keks = [{ kid: 'kek', secret }]
  const [ours, theirs] = [
    testSealer(keks, testDeployment('a')),
    testSealer(keks, testDeployment('b')),
  ]
  const store = createMemoryKeyStore()
  const other = setUp(store)
  await other.scheduler.runOnce()
  const [any] = (await store.load()).keys
  assert.ok(any)
  const key = await SEALER.open(any)
  assert.ok(key.publicJwk)
  const sealed = await theirs.seal(key, key.publicJwk, [])
  assert.equal((await theirs.open(sealed)).kid, key.kid)
  await assert.rejects(ours.open(sealed), { code: 'seal_broken', message: /another deployment/ })
})
