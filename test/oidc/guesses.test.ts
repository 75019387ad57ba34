import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { widening } from '../../src/accounts/counters.ts'
import { systemClock } from '../../src/clock.ts'
import { createGuesses, type GuessesOptions } from '../../src/oidc/guesses.ts'
import type { RedisSettings } from '../../src/redis/client.ts'
import { openRedis } from '../../src/redis/connection.ts'
import { redisPlaces, redisSettings, skipRedis, startRedis } from '../support/redis.ts'

const open = (options: Partial<GuessesOptions> = {}) =>
  createGuesses({
    kind: 'test',
    limits: widening(6, 'auto', 'auto'),
    subjectLimits: widening(3, 'auto', 'auto'),
    window: 60,
    clock: systemClock,
    ...options,
  })

const shop = { address: '203.0.113.8', subject: 'shop' }

async function openNode(t: TestContext, settings: RedisSettings) {
  const redis = openRedis(settings, systemClock)
  t.after(redis.close)
  await redis.run('connect', async () => redis.client.ping())
  return open({ shared: redis })
}

describe('guesses', () => {
  it('are borne up to the limit, and one more tells nothing', async () => {
    const { wrong, wait } = open()
    for (let count = 0; count < 3; count += 1) {
      assert.equal(await wait(shop), undefined)
      assert.equal(await wrong(shop), undefined)
    }
    const seconds = await wait(shop)
    assert.ok(seconds !== undefined && seconds > 0 && seconds <= 60)
    assert.ok((await wrong(shop)) !== undefined)
    assert.equal(await wait({ ...shop, address: '198.51.100.1' }), undefined)
    assert.equal(await wait({ ...shop, subject: 'another' }), undefined)
  })

  it('of many subjects are limited together at one address', async () => {
    const { wrong, wait } = open()
    for (let count = 0; count < 6; count += 1) await wrong({ ...shop, subject: `shop ${count}` })
    assert.notEqual(await wait({ ...shop, subject: 'another' }), undefined)
    assert.equal(await wait({ address: '203.0.113.9', subject: 'another' }), undefined)
  })

  it('of one subject that go on use up nothing of others', async () => {
    const { wrong, wait } = open()
    for (let count = 0; count < 100; count += 1) await wrong(shop)
    assert.equal(await wait({ ...shop, subject: 'another' }), undefined)
    assert.equal(await wait({ ...shop, address: '203.0.113.9' }), undefined)
  })

  it('may go on when the window is over', async (t) => {
    t.mock.timers.enable({ apis: ['Date', 'setTimeout'] })
    let elapsed = 0
    const { wrong, wait } = open({ clock: { elapsed: () => elapsed } })
    for (let count = 0; count < 3; count += 1) await wrong(shop)
    assert.notEqual(await wait(shop), undefined)
    t.mock.timers.tick(61_000)
    elapsed = 61
    assert.equal(await wait(shop), undefined)
    assert.equal(await wrong(shop), undefined)
  })
})

describe('guesses counted in Redis', { skip: skipRedis }, () => {
  const { places } = redisPlaces()

  for (const [name, place] of Object.entries(places)) {
    it(`on ${name} gain one at each further node, and no more`, async (t) => {
      const settings = redisSettings(place())
      const [one, two] = [await openNode(t, settings), await openNode(t, settings)]
      for (let count = 0; count < 3; count += 1) assert.equal(await one.wrong(shop), undefined)
      assert.notEqual(await one.wait(shop), undefined)
      const seconds = await two.wrong(shop)
      assert.ok(seconds !== undefined && seconds > 50 && seconds <= 60, String(seconds))
      assert.notEqual(await two.wait(shop), undefined)
      assert.equal(await two.wait({ ...shop, address: '198.51.100.1' }), undefined)
    })
  }

  it('are counted by each node while Redis is away', async (t) => {
    const server = await startRedis()
    t.after(() => server[Symbol.asyncDispose]())
    const { wrong, wait } = await openNode(t, redisSettings({ url: server.url, timeout: 0.5 }))
    assert.equal(await wrong(shop), undefined)
    await server.stop()
    for (let count = 0; count < 2; count += 1) assert.equal(await wrong(shop), undefined)
    assert.notEqual(await wait(shop), undefined)
    assert.notEqual(await wrong(shop), undefined)
  })
})
