import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { systemClock } from '../../src/clock.ts'
import { openRedis } from '../../src/redis/connection.ts'
import { redisSettings, skipRedis, startRedis } from '../support/redis.ts'

/** Why a connection does not come about is told in the words of the server. */
describe('Redis that refuses a connection', { skip: skipRedis }, () => {
  const ask = async (url: string) => {
    const redis = openRedis(redisSettings({ url, timeout: 1 }), systemClock)
    try {
      await redis.run('ask', () => redis.client.ping())
      return 'answered'
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    } finally {
      redis.close()
    }
  }

  it('as it has too many is quoted, though it closes the connection at once', async () => {
    await using server = await startRedis(['save ""', 'maxclients 1'])
    await server.client().ping()
    assert.match(await ask(server.url), /max number of clients reached/)
  })

  it('as it asks for a password, or another one, says which', async () => {
    await using server = await startRedis(['save ""', 'requirepass right'])
    assert.match(await ask(server.url), /asks for a password/)
    assert.match(await ask(server.url.replace('//', '//:wrong@')), /refuses the user or password/)
  })

  it('as it speaks no TLS there is asked whether it does', async () => {
    await using server = await startRedis()
    const url = server.url.replace('redis:', 'rediss:')
    assert.match(await ask(url), /does it speak TLS on this port\?/)
  })
})
