import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { StoreUnavailable } from '../../src/errors.ts'
import { createUsedUp, LIMIT } from '../../src/oidc/used-up.ts'

/** In which time goes by when somebody sleeps, and then at once. */
function setUp() {
  let elapsed = 0
  const sleep = async (seconds: number) => {
    elapsed += seconds
    await new Promise((resolve) => setImmediate(resolve))
  }
  const usedUp = createUsedUp({ elapsed: () => elapsed, sleep })
  const undone: string[] = []
  /** Uses something up that can be given back from an instant on. */
  const use = (request: object, name: string, backAt = 0) =>
    usedUp.note(request, async () => {
      if (elapsed < backAt) throw new StoreUnavailable('the test took the store away')
      undone.push(`${name} at ${elapsed}`)
    })
  const until = async (isTrue: (now: number) => boolean) => {
    for (let i = 0; i < 20_000 && !isTrue(elapsed); i++) await sleep(0)
  }
  return { usedUp, undone, use, until }
}

describe('what a request used up', () => {
  it('is given back when it fails, once, and not when another does', async () => {
    const { usedUp, undone, use, until } = setUp()
    const [one, other] = [{}, {}]
    use(one, 'pushed request')
    use(one, 'code')
    use(other, 'refresh token')
    usedUp.giveBack(one)
    usedUp.giveBack(one)
    usedUp.giveBack({})
    await until(() => undone.length === 2)
    await usedUp.stop()
    assert.deepEqual(undone, ['pushed request at 0', 'code at 0'])
  })

  it('is given back when the store is there again, and holds up nothing meanwhile', async () => {
    const { usedUp, undone, use, until } = setUp()
    const [one, other] = [{}, {}]
    use(one, 'a', 60)
    use(one, 'b')
    use(other, 'c')
    usedUp.giveBack(one)
    usedUp.giveBack(other)
    await until(() => undone.length === 3)
    await usedUp.stop()
    assert.deepEqual(undone, ['b at 0.25', 'c at 0.25', 'a at 60'])
  })

  it('is lost after an hour, and when this node stops', async () => {
    const { usedUp, undone, use, until } = setUp()
    const [one, other] = [{}, {}]
    use(one, 'a', LIMIT + 1)
    usedUp.giveBack(one)
    await until((now) => now > LIMIT)
    use(other, 'b', 2 * LIMIT)
    usedUp.giveBack(other)
    await usedUp.stop()
    await until((now) => now > 2 * LIMIT)
    assert.deepEqual(undone, [])
  })
})
