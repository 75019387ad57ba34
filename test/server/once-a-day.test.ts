import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createOnceADay } from '../../src/server/once-a-day.ts'
import { createFakeClock } from '../support/fake-clock.ts'

const DAY = 86_400

test('what was told is told again the next day', async () => {
  const clock = createFakeClock()
  const isFirstToday = createOnceADay(clock)
  assert.deepEqual(['a', 'a', 'b', 'a'].map(isFirstToday), [true, false, true, false])
  await clock.pass(DAY - 1)
  assert.equal(isFirstToday('a'), false)
  await clock.pass(1)
  assert.deepEqual(['a', 'b', 'a'].map(isFirstToday), [true, true, false])
})

test('who makes up texts without end does not fill the log, nor memory', async () => {
  const clock = createFakeClock()
  const isFirstToday = createOnceADay(clock)
  const told = Array.from({ length: 50_000 }, (_, index) => isFirstToday(`scope ${index}`))
  assert.equal(told.filter(Boolean).length, 1000)
  await clock.pass(DAY)
  assert.equal(isFirstToday('scope 40000'), true)
})
