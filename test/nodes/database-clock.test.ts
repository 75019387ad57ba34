import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createDatabaseClock } from '../../src/nodes/database-clock.ts'
import { createFakeClock } from '../support/fake-clock.ts'

/** A database whose clock is right; each answer takes `delay` seconds, half of them on the way. */
function setUp({ offset = 0, delay = 0 } = {}) {
  const clock = createFakeClock()
  const state = { delay, down: false, isLocal: false }
  const right = () => clock.exact() - offset
  const store = {
    time: async () => {
      if (state.down) throw new Error('the test took the database away')
      const passing = clock.pass(state.delay / 2)
      await passing
      const answer = right()
      await clock.pass(state.delay / 2)
      return state.isLocal ? undefined : answer
    },
  }
  return { clock, state, databaseClock: createDatabaseClock({ store, clock, clockSkew: 60 }) }
}

describe('the clock of a node beside that of the database', () => {
  for (const [offset, isRight] of [
    [0, true],
    [60, true],
    [-60, true],
    [61, false],
    [-61, false],
    [86_400, false],
  ] as const) {
    it(`is ${isRight ? 'right' : 'wrong'} when it is ${offset} s ahead`, async () => {
      const { databaseClock, clock } = setUp({ offset })
      await databaseClock.compare()
      assert.ok(Math.abs((databaseClock.offset() ?? NaN) - offset) < 0.001)
      assert.equal(databaseClock.isRight(), isRight)
      assert.equal(databaseClock.now(), clock.now() - offset)
    })
  }

  it('is not judged by the time that an answer took', async () => {
    const { databaseClock } = setUp({ offset: 59, delay: 4 })
    await databaseClock.compare()
    assert.ok(databaseClock.isRight())
    assert.ok(Math.abs((databaseClock.offset() ?? NaN) - 59) < 0.001)
  })

  it('is known to be wrong as soon as somebody sets it, before the next comparison', async () => {
    const { databaseClock, clock } = setUp()
    await databaseClock.compare()
    await clock.pass(1000)
    assert.ok(databaseClock.isRight())
    clock.jump(-61)
    assert.equal(databaseClock.isRight(), false)
    clock.jump(61)
    assert.ok(databaseClock.isRight())
  })

  it('is judged by the last comparison while the database is away', async () => {
    const { databaseClock, state } = setUp({ offset: 100 })
    assert.ok(databaseClock.isRight(), 'nothing is known yet')
    await databaseClock.compare()
    state.down = true
    await databaseClock.compare()
    assert.equal(databaseClock.isRight(), false)
  })

  it('is right where the database is on the same machine', async () => {
    const { databaseClock, state, clock } = setUp({ offset: 100 })
    state.isLocal = true
    await databaseClock.compare()
    assert.equal(databaseClock.offset(), undefined)
    assert.ok(databaseClock.isRight())
    assert.equal(databaseClock.now(), clock.now())
  })
})
