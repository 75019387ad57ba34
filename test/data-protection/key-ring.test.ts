import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { describe, it } from 'node:test'
import { keyElement } from '../../src/data-protection/key-element.ts'
import { loadKeyRing } from '../../src/data-protection/key-ring.ts'
import type { StoredRing } from '../../src/data-protection/ring-store.ts'
import { TICKS_PER_DAY, ticksOf } from '../../src/values/ticks.ts'

const now = () => new Date('2026-11-28T14:00:00Z')

/** A ring as its store reads it, with this many keys. */
function ringOf(count: number): StoredRing {
  const createdAt = ticksOf(now())
  const dates = { createdAt, activatesAt: createdAt, expiresAt: createdAt + 90n * TICKS_PER_DAY }
  const elements = Array.from({ length: count }, (_, i) => {
    const { line } = keyElement({ id: randomUUID(), secret: randomBytes(64), ...dates })
    return { source: `row ${i}`, content: { text: line } }
  })
  return { elements, version: String(count) }
}

/** A ring without keys, and the reads of its reloads, which the test answers. */
async function setUp() {
  const reads: PromiseWithResolvers<StoredRing>[] = []
  let isLoaded = false
  const read = () => {
    if (!isLoaded) return Promise.resolve(ringOf(0))
    const answer = Promise.withResolvers<StoredRing>()
    reads.push(answer)
    return answer.promise
  }
  const store = { where: 'a test', read, append: async () => false, close: async () => {} }
  const ring = await loadKeyRing(store, { certificates: [], applicationName: undefined, now })
  isLoaded = true
  return { ring, reads }
}

describe('a key ring that is reloaded twice at once', () => {
  it('stays as the later reload found it if the earlier one ends last', async () => {
    const { ring, reads } = await setUp()
    const [earlier, later] = [ring.reload(), ring.reload()]
    reads[1]?.resolve(ringOf(2))
    await later
    reads[0]?.resolve(ringOf(1))
    await earlier
    assert.equal(ring.keys.length, 2)
  })

  it('is as the earlier reload found it if the later one fails', async () => {
    const { ring, reads } = await setUp()
    const [earlier, later] = [ring.reload(), ring.reload()]
    reads[1]?.reject(new Error('away'))
    await assert.rejects(later, /away/)
    reads[0]?.resolve(ringOf(1))
    await earlier
    assert.equal(ring.keys.length, 1)
  })
})
