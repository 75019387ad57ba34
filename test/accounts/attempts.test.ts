import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { createAttempts } from '../../src/accounts/attempts.ts'
import { systemClock } from '../../src/clock.ts'
import type { RedisSettings } from '../../src/redis/client.ts'
import { openRedis } from '../../src/redis/connection.ts'
import { redisPlaces, redisSettings, skipRedis, startRedis } from '../support/redis.ts'

const LIMITS = { perAccountAndAddress: 5, perAddress: 8, perAccount: 100, window: 900 }
const guess = { username: 'ada', address: '192.0.2.1' }

async function openNode(t: TestContext, settings: RedisSettings, limits = LIMITS) {
  const redis = openRedis(settings, systemClock)
  t.after(redis.close)
  await redis.run('connect', async () => redis.client.ping())
  return { redis, attempts: createAttempts(limits, redis) }
}

it('attempts counted in memory are not below zero when others end after a right password', async () => {
  const attempts = createAttempts(LIMITS)
  const others = [{ ...guess }, { ...guess }]
  for (const attempt of [guess, ...others]) assert.equal(await attempts.begin(attempt), undefined)
  await attempts.succeed(guess)
  await Promise.all(others.map((attempt) => attempts.turnAway(attempt)))
  for (let i = 0; i < LIMITS.perAccountAndAddress; i++) {
    assert.equal(await attempts.begin(guess), undefined)
  }
  assert.notEqual(await attempts.begin(guess), undefined)
})

describe('attempts counted in Redis', { skip: skipRedis }, () => {
  const { places } = redisPlaces()

  for (const [name, place] of Object.entries(places)) {
    it(`on ${name} are counted for all nodes together, also simultaneous ones`, async (t) => {
      const settings = redisSettings(place())
      const nodes = [await openNode(t, settings), await openNode(t, settings)]
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, i) => nodes[i % 2]?.attempts.begin(guess)),
      )
      assert.equal(answers.filter((wait) => wait === undefined).length, 5)
      const wait = Math.max(...answers.filter((answer) => answer !== undefined))
      assert.ok(wait > 890 && wait <= 900, String(wait))
    })

    it(`on ${name} are cleared at every node by the right password`, async (t) => {
      const settings = redisSettings(place())
      const [one, two] = [await openNode(t, settings), await openNode(t, settings)]
      for (let i = 0; i < 4; i++) await one.attempts.begin(guess)
      assert.equal(await two.attempts.begin(guess), undefined)
      await two.attempts.succeed(guess)
      for (let i = 0; i < 4; i++) assert.equal(await one.attempts.begin(guess), undefined)
      assert.notEqual(await one.attempts.begin(guess), undefined, 'perAddress was forgotten too')
    })
  }

  for (const [name, place] of Object.entries(places)) {
    it(`on ${name} are counted anew at every node after a change of the account`, async (t) => {
      const settings = redisSettings(place())
      const limits = { ...LIMITS, perAddress: 100 }
      const [one, two] = [await openNode(t, settings, limits), await openNode(t, settings, limits)]
      for (let i = 0; i < 5; i++) await one.attempts.begin(guess)
      const changedAt = systemClock.now()
      const lifted = [one, two, one, two, one, two].map(
        ({ attempts }) =>
          () =>
            attempts.begin(guess, async () => changedAt),
      )
      const waits = []
      for (const begin of lifted) waits.push(await begin())
      assert.deepEqual(waits.slice(0, 5), Array(5).fill(undefined))
      assert.notEqual(waits[5], undefined)
    })
  }

  it('from limited networks leave no names in Redis and use up no limit of an account, at any node', async (t) => {
    const settings = redisSettings(places.Redis())
    const [one, two] = [await openNode(t, settings), await openNode(t, settings)]
    const names = async () =>
      (await one.redis.client.keys(`${settings.prefix}attempts:name:*`)).length
    const fill = async (address: string) => {
      for (let i = 0; i < LIMITS.perAddress; i++) {
        assert.equal(await one.attempts.begin({ username: `a${i}`, address }), undefined)
      }
    }
    const addresses = Array.from({ length: 20 }, (_, i) => `198.51.${i}.1`)
    for (const address of addresses) await fill(address)
    assert.equal(await names(), LIMITS.perAddress)
    const waits = await Promise.all(
      addresses.flatMap((address) =>
        Array.from({ length: 6 }, (_, i) => two.attempts.begin({ username: `b${i}`, address })),
      ),
    )
    assert.ok(waits.every((wait) => wait !== undefined))
    assert.equal(await names(), LIMITS.perAddress)
  })

  it('that a right password cleared are not below zero when others end, and take no memory', async (t) => {
    const settings = redisSettings(places.Redis())
    const { redis, attempts } = await openNode(t, settings)
    const others = [{ ...guess }, { ...guess }]
    for (const attempt of [guess, ...others]) assert.equal(await attempts.begin(attempt), undefined)
    await attempts.succeed(guess)
    for (const attempt of others) await attempts.turnAway(attempt)
    const kinds = (await redis.client.keys(`${settings.prefix}attempts:*`)).map(
      (key) => key.split(':')[2],
    )
    assert.deepEqual(kinds.toSorted(), ['address', 'address-network'])
    for (let i = 0; i < LIMITS.perAccountAndAddress; i++) {
      assert.equal(await attempts.begin(guess), undefined)
    }
    assert.notEqual(await attempts.begin(guess), undefined)
  })

  it('from an address that was limited may go on once others of it were right', async (t) => {
    const settings = redisSettings(places.Redis())
    const [one, two] = [await openNode(t, settings), await openNode(t, settings)]
    const right = { ...guess, username: 'right' }
    assert.equal(await two.attempts.begin(right), undefined)
    for (let i = 1; i < LIMITS.perAddress; i++) {
      assert.equal(await one.attempts.begin({ ...guess, username: `a${i}` }), undefined)
    }
    assert.notEqual(await one.attempts.begin(guess), undefined)
    await two.attempts.succeed(right)
    assert.equal(await one.attempts.begin(guess), undefined)
  })

  it('are counted by each node alone while Redis is unavailable', async (t) => {
    const server = await startRedis()
    t.after(() => server[Symbol.asyncDispose]())
    const { attempts } = await openNode(t, redisSettings({ url: server.url, timeout: 0.5 }))
    assert.equal(await attempts.begin(guess), undefined)
    await server.stop()
    const answers: (number | undefined)[] = []
    for (let i = 0; i < 10; i++) answers.push(await attempts.begin(guess))
    assert.equal(answers.filter((wait) => wait === undefined).length, 5)
  })
})
