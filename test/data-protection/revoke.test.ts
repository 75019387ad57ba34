import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { createRandom } from '../../fuzz/random.ts'
import { temporaryFolder } from '../../lab/temporary.ts'
import { openDirectoryStore } from '../../src/data-protection/directory-store.ts'
import { openKeyRing } from '../../src/data-protection/open-key-ring.ts'
import type { RingStore } from '../../src/data-protection/ring-store.ts'
import { ticksOf } from '../../src/values/ticks.ts'
import { assertNoGap, DAY, factsIn, failing, node, START } from './kept.ts'

describe('revoking a key of a kept ring', () => {
  it('puts a successor there first, so that there is a default key at every instant', async () => {
    await using folder = await temporaryFolder()
    const clock = { time: START }
    const store = openDirectoryStore(folder.path)
    const order: string[] = []
    const watched: RingStore = {
      ...store,
      append: async (element, version) => {
        order.push(element.name.split('-')[0] ?? '')
        return store.append(element, version)
      },
    }
    const keeper = node(watched, clock)
    const { made = '' } = await keeper.look()
    clock.time += 30 * DAY
    const { revoked, successors, isNew, knownEverywhereAt } = await keeper.revoke(
      made,
      'stolen & <sold>',
    )
    assert.deepEqual({ revoked, isNew }, { revoked: [made], isNew: true })
    assert.deepEqual(order, ['key', 'key', 'revocation'])
    assert.equal(knownEverywhereAt, (clock.time + DAY) / 1000)

    const ring = await openKeyRing({ directory: folder.path, now: () => new Date(clock.time) })
    assert.equal(successors.length, 1)
    assert.deepEqual(ring.defaultKey(), {
      key: successors[0],
      fallback: null,
      shouldGenerate: false,
    })
    assert.deepEqual(ring.problems, [])
    const keys = await factsIn(openDirectoryStore(folder.path))
    assertNoGap(keys, ticksOf(new Date(clock.time)), ticksOf(new Date(clock.time + 80 * DAY)))
  })

  it('makes no successor where another key takes over by itself', async () => {
    await using folder = await temporaryFolder()
    const clock = { time: START }
    const keeper = node(openDirectoryStore(folder.path), clock)
    const { made: first = '' } = await keeper.look()
    clock.time += 100 * DAY
    await keeper.look()
    const { successors } = await keeper.revoke(first)
    assert.deepEqual(successors, [])
  })

  it('that is to come makes one that takes its place to the tick', async () => {
    await using folder = await temporaryFolder()
    const clock = { time: START }
    const keeper = node(openDirectoryStore(folder.path), clock)
    await keeper.look()
    clock.time += 80 * DAY
    const { made = '' } = await keeper.look()
    clock.time += DAY
    const [successor = ''] = (await keeper.revoke(made)).successors
    const keys = await factsIn(openDirectoryStore(folder.path))
    const [revoked, next] = [made, successor].map((id) => keys.find((key) => key.id === id))
    assert.equal(next?.activatesAt, revoked?.activatesAt)
    assert.ok(successor < made)
    assert.equal(keys.length, 3)
    assertNoGap(keys, ticksOf(new Date(clock.time)), ticksOf(new Date(clock.time + 80 * DAY)))
  })

  it('twice, or by two nodes at once, is done once', async () => {
    await using folder = await temporaryFolder()
    const clock = { time: START }
    const keepers = [1, 2].map(() => node(openDirectoryStore(folder.path), clock))
    const [keeper] = keepers
    const { made = '' } = (await keeper?.look()) ?? {}
    clock.time += DAY
    const done = await Promise.all(keepers.map((one) => one.revoke(made)))
    assert.ok(done.some(({ isNew }) => isNew))
    const names = await readdir(folder.path)
    assert.equal(names.filter((name) => name.startsWith('key-')).length, 2)
    assert.deepEqual(
      names.filter((name) => name.startsWith('revocation-')),
      [`revocation-${made}.xml`],
    )
    assert.equal((await keeper?.revoke(made))?.isNew, false)
  })

  it('of all revokes what was made before, and not the successor', async () => {
    await using folder = await temporaryFolder()
    const clock = { time: START }
    const keeper = node(openDirectoryStore(folder.path), clock)
    await keeper.look()
    clock.time += 80 * DAY
    await keeper.look()
    clock.time += DAY
    const { revoked, successors } = await keeper.revokeAll('moved')
    assert.equal(revoked.length, 2)
    const ring = await openKeyRing({ directory: folder.path, now: () => new Date(clock.time) })
    assert.equal(ring.defaultKey().key, successors[0])
    assert.equal(ring.keys.filter((key) => key.revoked).length, 2)
    // The second takes the place of the revoked key that was to come.
    assert.equal(successors.length, 2)
    const keys = await factsIn(openDirectoryStore(folder.path))
    assertNoGap(keys, ticksOf(new Date(clock.time)), ticksOf(new Date(clock.time + 80 * DAY)))
  })

  it('is done in full when it is repeated after the store failed in the middle', async () => {
    await using folder = await temporaryFolder()
    const clock = { time: START }
    const random = createRandom(7)
    const store = openDirectoryStore(folder.path)
    const { made = '' } = await node(store, clock).look()
    clock.time += DAY
    const keeper = node(
      failing(store, () => random.below(1000) / 4000),
      clock,
    )
    let done = false
    while (!done)
      done = await keeper.revoke(made).then(
        () => true,
        () => false,
      )
    const names = await readdir(folder.path)
    assert.equal(names.filter((name) => name.startsWith('key-')).length, 2)
  })

  it('that is not in the ring is refused', async () => {
    await using folder = await temporaryFolder()
    const keeper = node(openDirectoryStore(folder.path), { time: START })
    await keeper.look()
    await assert.rejects(keeper.revoke('4c1fca7e-724e-4561-8af6-516c70766381'), {
      code: 'ring_key_not_found',
    })
    await assert.rejects(keeper.revoke('x'), { code: 'ring_key_not_found' })
  })
})
