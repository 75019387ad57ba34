import { describe } from 'node:test'
import { testRefresh } from '../conformance/refresh.ts'
import { DATABASES } from '../support/databases.ts'
import { redisPlaces, skipRedis } from '../support/redis.ts'

for (const database of DATABASES) {
  describe(database.name, { skip: database.skip }, () => {
    testRefresh(database.name, async () => {
      const { url, drop } = await database.create()
      return { settings: { database: { url, connections: 4 } }, drop }
    })
  })
}

describe('Redis', { skip: skipRedis }, () => {
  const { places } = redisPlaces()
  for (const [name, place] of Object.entries(places)) {
    testRefresh(name, async () => ({ settings: { redis: { url: 'redis://default', ...place() } } }))
  }
})
