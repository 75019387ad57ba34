import assert from 'node:assert/strict'
import { it } from 'node:test'
import { createDatabaseWatch, RECENT } from '../../src/database/database-status.ts'
import { StoreUnavailable } from '../../src/errors.ts'
import { databaseCheck } from '../../src/server/readiness.ts'

/** A store whose calls go as they are told to. */
function setUp() {
  let elapsed = 0
  const watch = createDatabaseWatch({ now: () => 1_800_000_000 + elapsed, elapsed: () => elapsed })
  const told: string[] = []
  watch.watch(({ detail }) => told.push(detail))
  const outage = new StoreUnavailable('Cannot read: nothing listens there')
  const store = watch.watched({
    read: async () => 'read',
    write: async () => {
      throw outage
    },
    judge: async () => {
      throw new TypeError('not the database')
    },
    adapter: (_model: string) => ({
      find: async () => {
        throw outage
      },
    }),
  })
  return {
    watch,
    told,
    store,
    pass: (seconds: number) => {
      elapsed += seconds
    },
  }
}

it('the database is degraded from the first statement that fails, be it of what expires', async () => {
  const { watch, store, told } = setUp()
  assert.equal(databaseCheck(watch).degraded, false)
  await assert.rejects(store.adapter('AccessToken').find())
  const { ok, degraded, detail } = databaseCheck(watch)
  assert.deepEqual([ok, degraded], [true, true])
  assert.match(detail, /since 2027-.*nothing listens there/)
  assert.equal(databaseCheck(watch, true).ok, false)
  assert.equal(told.length, 1)
})

it('the database stays degraded while writes fail and reads work, and says so once', async () => {
  const { watch, store, told, pass } = setUp()
  for (let round = 0; round < 5; round++) {
    await assert.rejects(store.write())
    await store.read()
    assert.equal(databaseCheck(watch).degraded, true)
    assert.equal(databaseCheck(watch, true).ok, true)
    pass(RECENT / 2)
  }
  assert.equal(told.length, 1)
  pass(RECENT)
  assert.equal(databaseCheck(watch).degraded, false)
})

it('an error that is not the database does not count', async () => {
  const { watch, store } = setUp()
  await assert.rejects(store.judge())
  assert.equal(databaseCheck(watch).degraded, false)
})
