import assert from 'node:assert/strict'
import { it } from 'node:test'
import { fuzz } from '../../fuzz/run.ts'

/** The short form of `npm run fuzz`. */
it('3,000 mutated requests find no error, leave no secret in the log and nothing on the heap', async () => {
  const report = await fuzz({ requests: 3000, seed: 2026 })
  assert.deepEqual(report.failures, [])
  assert.deepEqual(report.errors, [])
  assert.deepEqual(report.leaked, [])
  assert.equal(report.hasCrashed, false)
  const answered = Object.entries(report.statuses).filter(([status]) => Number(status) >= 200)
  assert.ok(answered.reduce((sum, [, count]) => sum + count, 0) > 2500)
  // Some of what a few requests need for the first time is still to come: the long form says 1.1.
  assert.ok(report.heap.end < report.heap.warm * 1.25, JSON.stringify(report.heap))
})
