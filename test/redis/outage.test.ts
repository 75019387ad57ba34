import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createOutageWatch, REFUSAL_MEMORY } from '../../src/redis/outage.ts'

function watched() {
  let elapsed = 0
  const clock = { now: () => 1_700_000_000 + elapsed, elapsed: () => elapsed }
  const outage = createOutageWatch({ where: 'Redis', clock })
  const told: boolean[] = []
  outage.watch(({ isReachable }) => told.push(isReachable))
  const pass = (seconds: number) => {
    elapsed += seconds
  }
  return { outage, told, pass }
}

describe('the watch over Redis', () => {
  it('tells the beginning and the end of an outage once each', () => {
    const { outage, told, pass } = watched()
    outage.begin()
    pass(3)
    outage.begin('connect ECONNREFUSED')
    assert.match(outage.detail, /since 2023-11-14T22:13:20Z: connect ECONNREFUSED/)
    outage.end()
    outage.end()
    assert.equal(outage.detail, 'Redis answers')
    assert.deepEqual(told, [false, true])
  })

  it('does not take turns where writes are refused and reads work', () => {
    const { outage, told, pass } = watched()
    for (let i = 0; i < 100; i++) {
      outage.refuse('it is full')
      outage.end()
      pass(1)
    }
    assert.deepEqual(told, [false])
    // Nobody sends anything any more; somebody looks.
    pass(REFUSAL_MEMORY)
    assert.equal(outage.isReachable, true)
    assert.deepEqual(told, [false, true])
  })

  it('lasts while there is no connection, however long ago a refusal was', () => {
    const { outage, pass } = watched()
    outage.refuse('it is full')
    outage.begin('connect ECONNREFUSED')
    pass(REFUSAL_MEMORY)
    assert.equal(outage.isReachable, false)
    outage.end()
    assert.equal(outage.isReachable, true)
  })

  it('ends as soon as a lost connection is back, however short ago a refusal was', () => {
    const { outage, told } = watched()
    outage.refuse('it is full')
    outage.begin('connect ECONNREFUSED')
    outage.end()
    assert.equal(outage.detail, 'Redis answers')
    assert.deepEqual(told, [false, true])
  })
})
