import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { systemClock } from '../../src/clock.ts'
import type { RedisSettings } from '../../src/redis/client.ts'
import { openRedis } from '../../src/redis/connection.ts'
import { createRedisMessages } from '../../src/redis/messages.ts'
import { redisPlaces, redisSettings, skipRedis, startRedis, until } from '../support/redis.ts'

/** What one process of a deployment has. */
function openMessages(t: TestContext, settings: RedisSettings) {
  const redis = openRedis(settings, systemClock)
  const messages = createRedisMessages(redis)
  const heard = { ring: 0, clients: 0 }
  t.after(() => {
    messages.close()
    redis.close()
  })
  return {
    ...messages,
    heard,
    /** Resolves once it is subscribed, which the listener is told. */
    listen: async () => {
      messages.subscribe('ring', () => heard.ring++)
      messages.subscribe('clients', () => heard.clients++)
      await until('it is subscribed', async () => heard.ring > 0 && heard.clients > 0)
    },
  }
}

describe('messages', { skip: skipRedis }, () => {
  const { places, processes } = redisPlaces()

  for (const [name, place] of Object.entries(places)) {
    it(`on ${name} reach every other process that listens to the topic, and not the sender`, async (t) => {
      const settings = redisSettings(place())
      const [sender, one, two] = [1, 2, 3].map(() => openMessages(t, settings))
      await Promise.all([sender?.listen(), one?.listen(), two?.listen()])
      const before = [sender, one, two].map((each) => ({ ...each?.heard }))
      assert.equal(await sender?.publish('ring'), true)
      await until('both heard it', async () =>
        [one, two].every((each, i) => each?.heard.ring === (before[i + 1]?.ring ?? 0) + 1),
      )
      assert.deepEqual(sender?.heard, before[0])
      assert.equal(one?.heard.clients, before[1]?.clients)
    })

    it(`on ${name} are asked after whenever the connection was lost`, async (t) => {
      const listener = openMessages(t, redisSettings(place()))
      await listener.listen()
      const { ring } = listener.heard
      for (const node of processes()) {
        await node.client().call('CLIENT', 'KILL', 'TYPE', 'pubsub')
      }
      await until('it looked again', async () => listener.heard.ring > ring)
    })
  }

  it('come again after Redis was away, and those who send meanwhile are told', async (t) => {
    const server = await startRedis()
    t.after(() => server[Symbol.asyncDispose]())
    const settings = redisSettings({ url: server.url, timeout: 0.5 })
    const [sender, listener] = [openMessages(t, settings), openMessages(t, settings)]
    await listener.listen()
    await server.stop()
    const { ring } = listener.heard
    assert.equal(await sender.publish('ring'), false)
    await server.start()
    await until('it looked again', async () => listener.heard.ring > ring)
    const missed = listener.heard.ring
    await until('the sender is back', () => sender.publish('ring'))
    await until('it hears again', async () => listener.heard.ring > missed)
  })
})
