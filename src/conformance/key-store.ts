import assert from 'node:assert/strict'
import type { KeyStore } from '../ring/key-store.ts'
import { byId, serializedEvent, serializedKey } from './records.ts'
import { type TestRunner, testsWith } from './runner.ts'

type Test = ReturnType<typeof testsWith<KeyStoreUnderTest>>

/** An empty key store for one test, opened twice as two nodes would. */
export interface KeyStoreUnderTest {
  readonly store: KeyStore
  /** A second handle on the same records; the same object if only one process can use the store. */
  readonly other: KeyStore
  /** The store of another issuer in the same place; absent if the store does not know issuers. */
  readonly elsewhere?: KeyStore
  readonly close: () => Promise<void>
}

/**
 * Tests the contract of `KeyStore`, for every implementation.
 * @param runner functions of the test runner
 * @param name of the implementation, for the report
 * @param open makes an empty store for each test
 * @example
 * import { describe, it } from 'node:test'
 * import { testKeyStore } from 'keyturn/conformance'
 *
 * testKeyStore({ describe, it }, 'my', async () => {
 *   const store = createMyKeyStore(await emptyPlace())
 *   return { store, other: store, close: async () => {} }
 * })
 */
export function testKeyStore(
  runner: TestRunner,
  name: string,
  open: () => Promise<KeyStoreUnderTest>,
): void {
  const test = testsWith(runner, open)
  runner.describe(`the ${name} key store`, () => {
    testAdding(test)
    testAddingTogether(test)
    testNamesAndSizes(test)
    testErasing(test)
    testEvents(test)
    testIssuers(test)
  })
}

function testAdding(test: Test): void {
  test('is empty at first', async ({ store }) => {
    assert.deepEqual(await store.load(), { keys: [], events: [] })
  })

  test('returns a key exactly as it was added, to every node', async ({ store, other }) => {
    const key = serializedKey(1)
    assert.deepEqual(await store.addKey(key), key)
    assert.deepEqual((await other.load()).keys, [key])
  })

  test('keeps one key per place in a ring and returns it to the second caller', async ({
    store,
    other,
  }) => {
    const first = await store.addKey(serializedKey(1, { id: 'first' }))
    assert.deepEqual(await other.addKey(serializedKey(1, { id: 'second' })), first)
    assert.deepEqual(
      (await store.load()).keys.map((key) => key.id),
      ['first'],
    )
  })

  test('returns the same winner to all callers that add the same generation at once', async ({
    store,
    other,
  }) => {
    for (let generation = 1; generation <= 10; generation++) {
      const stored = await Promise.all(
        Array.from({ length: 8 }, (_, i) =>
          (i % 2 ? store : other).addKey(serializedKey(generation, { id: `${generation}-${i}` })),
        ),
      )
      assert.equal(new Set(stored.map((key) => key.id)).size, 1)
    }
    assert.equal((await store.load()).keys.length, 10)
  })

  test('keeps rings apart', async ({ store }) => {
    await store.addKey(serializedKey(1, { id: 'a' }))
    await store.addKey(serializedKey(1, { id: 'b', ring: 'sig/RS256' }))
    assert.equal((await store.load()).keys.length, 2)
  })

  test('refuses a kid that is stored in another place', async ({ store }) => {
    await store.addKey(serializedKey(1, { id: 'same' }))
    await assert.rejects(store.addKey(serializedKey(2, { id: 'same' })), { code: 'kid_taken' })
    assert.equal((await store.load()).keys.length, 1)
  })
}

function testAddingTogether(test: Test): void {
  test('adds keys and events together, and the same batch once only', async ({ store, other }) => {
    await store.addKey(serializedKey(1))
    const batch = {
      keys: [serializedKey(2), serializedKey(1, { id: 'b', ring: 'sig/RS256' })],
      events: [serializedEvent('a', 20), serializedEvent('b', 10)],
    }
    await store.addTogether(batch)
    await other.addTogether(batch)
    const { keys, events } = await other.load()
    const placed = keys.map(({ ring, generation, id }) => `${ring} ${generation} ${id}`)
    const wanted = ['sig/ES256 1 kid-1', 'sig/ES256 2 kid-2', 'sig/RS256 1 b']
    assert.deepEqual(placed.toSorted(), wanted)
    assert.deepEqual(byId(events), batch.events)
  })

  test('adds nothing of a batch if the kid or place of one key is taken', async ({
    store,
    other,
  }) => {
    const before = [await store.addKey(serializedKey(2)), await store.addKey(serializedKey(5))]
    const free = serializedKey(1)
    const events = [serializedEvent('a', 20)]
    const taken = { keys: [free, serializedKey(2, { id: 'other' })], events }
    await assert.rejects(other.addTogether(taken), { code: 'place_taken' })
    const elsewhere = { keys: [free, serializedKey(3, { id: 'kid-2' })], events }
    await assert.rejects(store.addTogether(elsewhere), { code: 'kid_taken' })
    const otherwise = { keys: [free, serializedKey(2, { data: 'other' })], events }
    await assert.rejects(store.addTogether(otherwise), { code: 'kid_taken' })
    const { keys, events: recorded } = await store.load()
    assert.deepEqual(
      keys.toSorted((a, b) => a.generation - b.generation),
      before,
    )
    assert.deepEqual(recorded, [])
  })

  test('adds one of two batches that want the same places at once', async ({ store, other }) => {
    const batch = (name: string) => ({
      keys: [1, 2, 3].map((generation) =>
        serializedKey(generation, { id: `${name}-${generation}` }),
      ),
      events: [serializedEvent(name, 10)],
    })
    const added = await Promise.allSettled([
      store.addTogether(batch('a')),
      other.addTogether(batch('b')),
    ])
    const { keys, events } = await store.load()
    assert.equal(added.filter(({ status }) => status === 'fulfilled').length, 1)
    assert.equal(new Set(keys.map(({ id }) => id[0])).size, 1)
    assert.deepEqual([keys.length, events.length], [3, 1])
  })

  test('puts a key in the place of one as it was given', async ({ store, other }) => {
    const half = await store.addKey(serializedKey(1))
    const whole = serializedKey(3, { id: half.id, data: 'whole' })
    const batch = { keys: [whole], events: [], replaced: [half] }
    await store.addTogether(batch)
    await other.addTogether(batch)
    assert.deepEqual((await other.load()).keys, [whole])
    const late = { ...batch, keys: [serializedKey(4, { id: half.id })] }
    await assert.rejects(other.addTogether(late), { code: 'kid_taken' })
    assert.deepEqual((await store.load()).keys, [whole])
  })
}

function testNamesAndSizes(test: Test): void {
  test('adds a thousand keys together', async ({ store }) => {
    const keys = Array.from({ length: 1000 }, (_, i) => serializedKey(i + 1))
    await store.addTogether({ keys, events: [] })
    assert.equal((await store.load()).keys.length, 1000)
  })

  test('keeps a kid of 255 characters of any script', async ({ store, other }) => {
    const ids = ['ключ ', '鍵', '𝒦', 'a/b?c#'].map((text) =>
      [...text.repeat(255)].slice(0, 255).join(''),
    )
    const keys = ids.map((id, i) => serializedKey(i + 1, { id }))
    await store.addTogether({ keys, events: [] })
    await other.removeKey(ids[0] ?? '')
    const rest = (await store.load()).keys.map(({ id }) => id)
    assert.deepEqual(rest.toSorted(), ids.slice(1).toSorted())
  })

  test('tells kids and rings apart byte for byte', async ({ store, other }) => {
    const keys = ['a', 'A', 'a ', 'á'].flatMap((id, i) => [
      serializedKey(1, { id, ring: `ring ${id}` }),
      serializedKey(i + 1, { id: `${id}-${i}` }),
    ])
    for (const key of keys) assert.deepEqual(await store.addKey(key), key)
    await other.eraseKey({ ...serializedKey(1), id: 'a', data: 'public' })
    await other.removeKey('A')
    const ids = (await store.load()).keys.map(({ id, data }) => (data === 'public' ? '!' : id))
    const rest = ['!', 'a ', 'á', 'a-0', 'A-1', 'a -2', 'á-3']
    assert.deepEqual(ids.toSorted(), rest.toSorted())
  })

  test('stores a sealed key of any size that a JWK can have', async ({ store }) => {
    const key = serializedKey(1, { data: 'x'.repeat(100_000) })
    await store.addKey(key)
    assert.deepEqual((await store.load()).keys, [key])
  })
}

function testErasing(test: Test): void {
  test('replaces the sealed text of an erased key and nothing else', async ({ store, other }) => {
    const key = await store.addKey(serializedKey(1))
    await other.addKey(serializedKey(2))
    await store.eraseKey({ ...key, data: 'public' })
    await other.eraseKey({ ...key, data: 'public' })
    const { keys } = await other.load()
    assert.deepEqual(
      keys.toSorted((a, b) => a.generation - b.generation),
      [{ ...key, data: 'public' }, serializedKey(2)],
    )
  })

  test('does not restore a removed key by erasing it', async ({ store }) => {
    await store.eraseKey(serializedKey(1))
    assert.deepEqual((await store.load()).keys, [])
  })

  test('removes a key, and ignores one that is removed already', async ({ store, other }) => {
    await store.addKey(serializedKey(1))
    await store.addKey(serializedKey(2))
    await other.removeKey('kid-1')
    await store.removeKey('kid-1')
    assert.deepEqual(
      (await store.load()).keys.map((key) => key.id),
      ['kid-2'],
    )
  })
}

function testEvents(test: Test): void {
  test('keeps events exactly, and an event recorded twice once', async ({ store, other }) => {
    const events = [serializedEvent('a', 20), serializedEvent('b', 10)]
    await store.addEvents(events)
    await other.addEvents([serializedEvent('c', 9_000_000_000), serializedEvent('a', 20)])
    await store.addEvents([])
    assert.deepEqual(byId((await store.load()).events), [
      ...events,
      serializedEvent('c', 9_000_000_000),
    ])
  })

  test('restores an event whose record was edited', async ({ store, other }) => {
    const genuine = serializedEvent('a', 20)
    await store.addEvents([{ ...genuine, at: 30, data: 'edited' }])
    await other.addEvents([genuine])
    assert.deepEqual((await store.load()).events, [genuine])
  })

  test('keeps the events of a removed key', async ({ store }) => {
    await store.addKey(serializedKey(1))
    await store.addEvents([serializedEvent('a', 1)])
    await store.removeKey('kid-1')
    assert.equal((await store.load()).events.length, 1)
  })
}

function testIssuers(test: Test): void {
  test('never shows an issuer the keys and events of another, nor lets it change them', async ({
    store,
    other,
    elsewhere,
  }) => {
    if (!elsewhere) return
    const [ours, theirs] = [serializedKey(1), serializedKey(1, { data: 'theirs' })]
    assert.deepEqual(await store.addKey(ours), ours)
    // The same kid and the same place.
    assert.deepEqual(await elsewhere.addKey(theirs), theirs)
    await store.addEvents([serializedEvent('a', 1)])
    await elsewhere.addEvents([{ ...serializedEvent('a', 1), data: 'theirs' }])
    await elsewhere.eraseKey({ ...theirs, data: 'public' })
    assert.deepEqual(await other.load(), { keys: [ours], events: [serializedEvent('a', 1)] })
    await store.removeKey(ours.id)
    assert.deepEqual((await other.load()).keys, [])
    assert.deepEqual((await elsewhere.load()).keys, [{ ...theirs, data: 'public' }])
    assert.equal((await elsewhere.load()).events[0]?.data, 'theirs')
  })

  test('shows every issuer the secret that all of them share', async ({ store, elsewhere }) => {
    if (!elsewhere) return
    const secret = serializedKey(1, { ring: 'deployment', id: 'secret' })
    assert.deepEqual(await store.addKey(secret), secret)
    const rival = serializedKey(1, { ring: 'deployment', id: 'rival' })
    assert.deepEqual(await elsewhere.addKey(rival), secret)
    await elsewhere.eraseKey({ ...secret, data: 'sealed again' })
    await elsewhere.addKey(serializedKey(1))
    assert.deepEqual((await store.load()).keys, [{ ...secret, data: 'sealed again' }])
  })
}
