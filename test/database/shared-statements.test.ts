import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { shareStatements } from '../../src/database/shared-statements.ts'

/** A statement that ends when it is told to, and what it was given. */
function statement(limit = 100) {
  const batches: { jobs: readonly number[]; end: (failure?: Error) => void }[] = []
  const work = shareStatements<number, string>({
    take: (waiting) => Math.min(waiting, limit),
    run: (jobs) =>
      new Promise((resolve, reject) => {
        const end = (failure?: Error) => (failure ? reject(failure) : resolve(jobs.map(String)))
        batches.push({ jobs, end })
      }),
  })
  const under = async (count: number) => {
    for (let i = 0; i < 1000 && batches.length < count; i++) {
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    assert.equal(batches.length, count)
  }
  return { work, batches, under, jobs: () => batches.map((batch) => batch.jobs) }
}

describe('a shared statement', () => {
  it('takes what one turn asked for, then what came while it was under way, each with its result', async () => {
    const { work, batches, under, jobs } = statement()
    const first = [work(1), work(2)]
    await under(1)
    const second = [work(3), work(4)]
    batches[0]?.end()
    assert.deepEqual(await Promise.all(first), ['1', '2'])
    await under(2)
    batches[1]?.end()
    assert.deepEqual(await Promise.all(second), ['3', '4'])
    assert.deepEqual(jobs(), [
      [1, 2],
      [3, 4],
    ])
  })

  it('that fails, fails for those it was for and no others', async () => {
    const { work, batches, under } = statement(2)
    const all = Promise.allSettled([1, 2, 3].map(work))
    await under(1)
    batches[0]?.end(new Error('lost'))
    await under(2)
    batches[1]?.end()
    assert.deepEqual(
      (await all).map((result) => result.status),
      ['rejected', 'rejected', 'fulfilled'],
    )
  })

  it('that takes long holds up no others, three at most are under way', async () => {
    const { work, batches, under, jobs } = statement(1)
    const all = [1, 2, 3, 4].map(work)
    await under(3)
    batches[1]?.end()
    await under(4)
    for (const { end } of batches) end()
    assert.deepEqual(await Promise.all(all), ['1', '2', '3', '4'])
    assert.deepEqual(jobs(), [[1], [2], [3], [4]])
  })
})
