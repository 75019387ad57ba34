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
  const logged: string[] = []
  const note = (_data: object, message: string) => void logged.push(message)
  const log = { warn: note, error: note }
  const usedUp = createUsedUp({ elapsed: () => elapsed, sleep }, log as never)
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
  return { usedUp, undone, use, until, logged }
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
    const { usedUp, undone, use, until, logged } = setUp()
    const [one, other] = [{}, {}]
    use(one, 'a', 60)
    use(one, 'b')
    use(other, 'c')
    usedUp.giveBack(one)
    usedUp.giveBack(other)
    await until(() => undone.length === 3)
    await usedUp.stop()
    assert.deepEqual(undone, ['b at 0', 'c at 0', 'a at 60'])
    assert.deepEqual(logged, [])
  })

  it('is lost after an hour, and when this node stops, and somebody is told', async () => {
    const { usedUp, undone, use, until, logged } = setUp()
    const [one, other] = [{}, {}]
    use(one, 'a', LIMIT + 1)
    usedUp.giveBack(one)
    await until(() => logged.length === 1)
    use(other, 'b', 2 * LIMIT)
    usedUp.giveBack(other)
    await usedUp.stop()
    assert.equal(logged.length, 2)
    await until((now) => now > 2 * LIMIT)
    assert.deepEqual(undone, [])
  })

  it('is not tried again where something else than the store fails', async () => {
    const { usedUp, logged } = setUp()
    const request = {}
    let attempts = 0
    usedUp.note(request, async () => {
      attempts += 1
      throw new TypeError('a mistake')
    })
    usedUp.giveBack(request)
    await usedUp.stop()
    assert.equal(attempts, 1)
    assert.equal(logged.length, 1)
  })
})
