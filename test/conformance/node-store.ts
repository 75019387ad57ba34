import assert from 'node:assert/strict'
import { describe } from 'node:test'
import type { NodeReport } from '../../src/nodes/node.ts'
import type { NodeStore } from '../../src/nodes/node-store.ts'
import { testsWith } from '../support/with-opened.ts'

export interface NodeStoreUnderTest {
  readonly store: NodeStore
  readonly other: NodeStore
  readonly close: () => Promise<void>
}

function report(id: string, seenAt: number, more: Partial<NodeReport> = {}): NodeReport {
  return {
    id,
    version: '1.2.3',
    issuer: 'https://id.example',
    startedAt: 1_700_000_000,
    seenAt,
    ringHash: 'hash',
    ringAge: 3,
    clockOffset: -0.25,
    kids: ['a', 'b'],
    obstacle: null,
    ...more,
  }
}

/**
 * What every NodeStore does.
 * @param hasClock is its clock another than that of this machine?
 */
export function testNodeStore(
  name: string,
  open: () => Promise<NodeStoreUnderTest>,
  { hasClock }: { hasClock: boolean },
): void {
  const test = testsWith(open)

  describe(`the nodes in ${name}`, () => {
    test('are listed as they told, with their last report, in order', async ({ store, other }) => {
      await store.report(report('b', 10, { obstacle: 'its clock is wrong', clockOffset: null }))
      await other.report(report('a', 10))
      await other.report(report('a', 5_000_000_000, { kids: [] }))
      assert.deepEqual(await store.list(), [
        report('a', 5_000_000_000, { kids: [] }),
        report('b', 10, { obstacle: 'its clock is wrong', clockOffset: null }),
      ])
    })

    test('tell of each issuer that they serve', async ({ store, other }) => {
      const two = report('a', 20, { issuer: 'https://two.example' })
      await store.report(report('a', 10))
      await store.report(two)
      assert.equal((await other.list()).length, 2)
      await store.remove(report('a', 10))
      assert.deepEqual(await other.list(), [two])
    })

    test('are gone when they stop, and when they were not seen for long', async ({
      store,
      other,
    }) => {
      for (const [id, seenAt] of [
        ['a', 10],
        ['b', 20],
        ['c', 30],
      ] as const) {
        await store.report(report(id, seenAt))
      }
      await other.remove(report('c', 30))
      await other.remove(report('c', 30))
      await other.forget(20)
      assert.deepEqual(
        (await store.list()).map((node) => node.id),
        ['b'],
      )
    })

    test('have a clock to compare with where the store is a server', async ({ store }) => {
      const before = Date.now() / 1000
      const time = await store.time()
      const after = Date.now() / 1000
      if (!hasClock) return assert.equal(time, undefined)
      // The servers of the tests run on this machine.
      assert.ok(time !== undefined && time > before - 1 && time < after + 1, `${time}`)
      assert.notEqual(time, Math.floor(time), 'whole seconds are too coarse to compare')
    })
  })
}
