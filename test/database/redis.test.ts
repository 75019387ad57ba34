import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Cluster, type Redis } from 'ioredis'
import type { Undo } from '../../src/artifacts/artifact-store.ts'
import type { ArtifactPlace } from '../../src/database/artifact-place.ts'
import { openRedis, type RedisConnection } from '../../src/redis/connection.ts'
import { redisOf } from '../../src/redis/issuer-prefix.ts'
import { openRedisArtifacts } from '../../src/redis/redis-artifacts.ts'
import { testArtifacts } from '../conformance/artifacts.ts'
import { onlyIssuerOf } from '../support/artifacts.ts'
import { testAuthentic } from '../support/authentic.ts'
import { createFakeClock } from '../support/fake-clock.ts'
import {
  redisPlaces,
  redisSettings,
  type SentinelProcesses,
  skipRedis,
  startSentinel,
} from '../support/redis.ts'

/** A database that has nothing. */
const EMPTY: ArtifactPlace = {
  of: () => ({
    adapter: () => ({ find: async () => undefined }) as never,
    exchange: async () => true,
    forget: async () => {},
    forgetClients: () => {},
  }),
  sweep: async () => 0,
  close: async () => {},
}

function openArtifacts(changes: Parameters<typeof redisSettings>[0]) {
  const clock = createFakeClock()
  const settings = redisSettings(changes)
  const connections = [openRedis(settings, clock), openRedis(settings, clock)] as const
  const authentic = testAuthentic()
  const artifactsIn = (redis: RedisConnection, whose = authentic) =>
    onlyIssuerOf(openRedisArtifacts({ redis, clock, database: EMPTY }), whose)
  const [artifacts, other] = [artifactsIn(connections[0]), artifactsIn(connections[1])]
  const redis = redisOf(connections[0], authentic.issuer)
  return {
    artifacts,
    other,
    elsewhere: artifactsIn(connections[0], testAuthentic({ issuer: 'https://elsewhere.example' })),
    redis,
    pass: async (seconds: number) => {
      await clock.pass(seconds)
      await passTime(redis, seconds)
    },
    dump: async () => (await keysOf(redis)).join('\n') + (await valuesOf(redis)).join('\n'),
    close: async () => {
      for (const connection of connections) connection.close()
    },
  }
}

/**
 * Loses the reply of a client's next command of this name, which is executed.
 * @param meanwhile what happens until the command is sent again
 */
function loseReply(client: object, command: string, meanwhile: () => Promise<void>) {
  type Send = (...args: unknown[]) => Promise<unknown>
  const commands = client as Record<string, Send>
  const send = commands[command]?.bind(client) as Send
  const lost = { count: 0 }
  commands[command] = async (...args) => {
    commands[command] = send
    await send(...args)
    lost.count += 1
    await meanwhile()
    throw new Error('Connection is closed.')
  }
  return lost
}

/** As if `seconds` had gone by: everything expires so much earlier. */
async function passTime(redis: RedisConnection, seconds: number): Promise<void> {
  for (const key of await keysOf(redis)) {
    const left = await redis.client.pttl(key)
    if (left >= 0) await redis.client.pexpire(key, left - seconds * 1000)
  }
}

async function keysOf({ client, prefix, run }: RedisConnection): Promise<readonly string[]> {
  await run('connect', async () => client.ping())
  const nodes: readonly Redis[] = client instanceof Cluster ? client.nodes('master') : [client]
  return (await Promise.all(nodes.map((node) => node.keys(`${prefix}*`)))).flat()
}

async function valuesOf(redis: RedisConnection): Promise<readonly string[]> {
  const values: string[] = []
  for (const key of await keysOf(redis)) {
    const isSet = (await redis.client.type(key)) === 'zset'
    values.push(
      isSet
        ? String(await redis.client.call('ZRANGE', key, '0', '-1'))
        : `${await redis.client.get(key)}`,
    )
  }
  return values
}

describe('on Redis', { skip: skipRedis }, () => {
  const { places } = redisPlaces()
  const { Redis: standalone, 'a Redis Cluster': clustered } = places

  testArtifacts('Redis', async () => openArtifacts(standalone()), { expiresByItself: true })
  testArtifacts('a Redis Cluster', async () => openArtifacts(clustered()), {
    expiresByItself: true,
  })
  for (const [name, settings] of [
    ['Redis', standalone],
    ['a Redis Cluster', clustered],
  ] as const) {
    testLayout(name, async () => openArtifacts(settings()))
  }
})

/** What the layout of keys must not break. */
function testLayout(name: string, open: () => Promise<ReturnType<typeof openArtifacts>>): void {
  const test = (sentence: string, body: (opened: ReturnType<typeof openArtifacts>) => unknown) =>
    it(sentence, async () => {
      const opened = await open()
      try {
        await body(opened)
      } finally {
        await opened.close()
      }
    })

  describe(`the layout in ${name}`, () => {
    test('everything has an end, the index of a grant that of its longest member', async ({
      artifacts,
      redis,
      pass,
    }) => {
      const save = (model: string, id: string, seconds: number) =>
        artifacts.adapter(model).upsert(id, { jti: id, grantId: 'g', uid: id }, seconds)
      await save('RefreshToken', 'r', 1000)
      await save('AccessToken', 'a', 10)
      await save('Session', 's', 10)
      const index = (await keysOf(redis)).find((key) => key.startsWith(`${redis.prefix}g:`)) ?? ''
      const left = await redis.client.pttl(index)
      assert.ok(left > 1_000_000 && left <= 1_060_000, String(left))
      await pass(100)
      await save('AccessToken', 'b', 10)
      assert.equal(await redis.client.zcard(index), 2, 'what has expired is still in the index')
      await pass(2000)
      assert.deepEqual(await keysOf(redis), [])
    })

    test('what has no end stays, and its grant too', async ({ artifacts, pass }) => {
      await artifacts.adapter('RefreshToken').upsert('r', { jti: 'r', grantId: 'g' }, 0)
      await artifacts.adapter('AccessToken').upsert('a', { jti: 'a', grantId: 'g' }, 10)
      await pass(1_000_000)
      assert.ok(await artifacts.adapter('RefreshToken').find('r'))
      await artifacts.adapter('RefreshToken').revokeByGrantId('g')
      assert.equal(await artifacts.adapter('RefreshToken').find('r'), undefined)
    })

    test('a session that got another id at sign-in is found by its uid until it is destroyed', async ({
      artifacts,
    }) => {
      const sessions = artifacts.adapter('Session')
      await sessions.upsert('before', { jti: 'before', uid: 'u' }, 60)
      await sessions.upsert('after', { jti: 'after', uid: 'u', accountId: 'ada' }, 60)
      await sessions.destroy('before')
      assert.equal((await sessions.findByUid('u'))?.jti, 'after')
      await sessions.destroy('after')
      assert.equal(await sessions.findByUid('u'), undefined)
    })

    test('a code that two redeem at once takes the grant itself with it', async ({ artifacts }) => {
      const grants = artifacts.adapter('Grant')
      const codes = artifacts.adapter('AuthorizationCode')
      await grants.upsert('g', { jti: 'g', accountId: 'ada' }, 60)
      await codes.upsert('c', { jti: 'c', grantId: 'g' }, 60)
      await codes.consume('c')
      await assert.rejects(codes.consume('c'), { error: 'invalid_grant' })
      assert.equal(await grants.find('g'), undefined)
    })

    for (const answer of [undefined, 'answer']) {
      const kind = answer ? 'with an answer' : 'without an answer'
      test(`an exchange ${kind} that is sent twice writes nothing the second time`, async ({
        artifacts,
        other,
        redis,
      }) => {
        // In a Cluster an exchange takes several commands.
        if (redis.client instanceof Cluster) return
        const [tokens, access] = ['RefreshToken', 'AccessToken'].map((model) =>
          other.adapter(model),
        )
        assert.ok(tokens && access)
        await tokens.upsert('r', { jti: 'r', grantId: 'g' }, 600)
        const issue = (model: string, id: string) => ({
          model,
          id,
          payload: { grantId: 'g' },
          expiresIn: 600,
        })
        const lost = loseReply(redis.client, 'keyturnExchange', async () => {
          await access.destroy('a')
          await tokens.consume('next')
        })
        const isFirst = await artifacts.exchange({
          used: { model: 'RefreshToken', id: 'r' },
          issued: [issue('AccessToken', 'a'), issue('RefreshToken', 'next')],
          ...(answer && {
            answer: { model: 'RefreshAnswer', id: 'r', payload: { sealed: answer }, expiresIn: 60 },
          }),
        })
        assert.equal(isFirst, true)
        assert.equal(lost.count, 1)
        assert.equal(await access.find('a'), undefined)
        assert.ok((await tokens.find('next'))?.consumed)
      })
    }

    test('a token that is consumed, restored, exchanged or consumed again still expires', async ({
      artifacts,
      redis,
    }) => {
      const tokens = artifacts.adapter('RefreshToken')
      const used = { model: 'RefreshToken', id: 'r' }
      const answer = { model: 'RefreshAnswer', id: 'r', payload: { sealed: 's' }, expiresIn: 60 }
      await tokens.upsert('r', { jti: 'r' }, 60)
      const undos: Undo[] = []
      const steps = [
        () => tokens.consume('r', (undo) => undos.push(undo)),
        () => undos[0]?.(),
        () => artifacts.exchange({ used, issued: [], answer }),
        () => tokens.consumeAgain('r', 1),
      ]
      for (const step of steps) {
        await step()
        for (const key of await keysOf(redis)) assert.ok((await redis.client.pttl(key)) > 0)
      }
    })

    test('tokens that a grant gives after a revocation are good', async ({ artifacts }) => {
      const tokens = artifacts.adapter('AccessToken')
      await tokens.upsert('a', { jti: 'a', grantId: 'g' }, 60)
      await tokens.revokeByGrantId('g')
      await tokens.upsert('b', { jti: 'b', grantId: 'g' }, 60)
      assert.ok(await tokens.find('b'))
      await tokens.revokeByGrantId('g')
      assert.equal(await tokens.find('b'), undefined)
    })

    test('a key of another type is absent, is replaced, and keeps nobody from being forgotten', async ({
      artifacts,
      redis,
    }) => {
      const saveAll = async () => {
        for (const model of ['Session', 'DeviceCode', 'Grant', 'AccessToken', 'RefreshToken']) {
          const more = { uid: 'u', userCode: 'c', grantId: 'g', accountId: 'ada' }
          await artifacts.adapter(model).upsert('i', { jti: 'i', ...more }, 600)
        }
      }
      await saveAll()
      for (const key of await keysOf(redis)) {
        await redis.client.del(key)
        await redis.client.rpush(key, 'of another program')
      }
      const [sessions, tokens] = [artifacts.adapter('Session'), artifacts.adapter('RefreshToken')]
      assert.equal(await sessions.find('i'), undefined)
      assert.equal(await sessions.findByUid('u'), undefined)
      await assert.rejects(tokens.consume('i'), { error: 'invalid_grant' })
      await artifacts.forget('accountId', 'bob')
      await tokens.revokeByGrantId('g')
      await saveAll()
      assert.ok(await sessions.findByUid('u'))
      const issued = [{ model: 'AccessToken', id: 'a', payload: { grantId: 'g' }, expiresIn: 600 }]
      const [index = ''] = (await keysOf(redis)).filter((key) => key.includes(':g:'))
      await redis.client.del(index)
      await redis.client.set(index, 'of another program')
      assert.equal(
        await artifacts.exchange({ used: { model: 'RefreshToken', id: 'i' }, issued }),
        true,
      )
      await redis.client.zadd(index, 1e300, 'far')
      await tokens.upsert('next', { jti: 'next', grantId: 'g' }, 600)
      await tokens.revokeByGrantId('g')
      assert.equal(await artifacts.adapter('AccessToken').find('a'), undefined)
      assert.equal(await tokens.find('next'), undefined)
    })

    test('a person is forgotten with all that was handed out, copies as well, and nobody else', async ({
      artifacts,
    }) => {
      const save = (model: string, id: string, accountId: string) =>
        artifacts.adapter(model).upsert(id, { jti: id, uid: `uid of ${id}`, accountId }, 3600)
      for (let i = 0; i < 1200; i += 100) {
        await Promise.all(
          Array.from({ length: 100 }, (_, j) => save('AccessToken', `a${i + j}`, `a_a${i % 200}`)),
        )
      }
      await save('Session', 'hers', 'a_a0')
      await save('Session', 'his', 'a-a0')
      await artifacts.forget('accountId', 'a_a0')
      const tokens = artifacts.adapter('AccessToken')
      const sessions = artifacts.adapter('Session')
      const left = await Promise.all(Array.from({ length: 1200 }, (_, i) => tokens.find(`a${i}`)))
      assert.equal(left.filter(Boolean).length, 600)
      assert.equal(await sessions.find('hers'), undefined)
      assert.equal(await sessions.findByUid('uid of hers'), undefined)
      assert.ok(await sessions.findByUid('uid of his'))
    })
  })
}

describe('a failover by Sentinels', { skip: skipRedis }, () => {
  let processes: SentinelProcesses
  before(async () => {
    processes = await startSentinel()
  })
  after(() => processes?.[Symbol.asyncDispose]())

  it('is ridden out by calls that wait for it, and loses nothing that had been replicated', async () => {
    const { master, replica, sentinelPort } = processes
    const sentinels = [`127.0.0.1:${sentinelPort}`]
    const opened = openArtifacts({ sentinels, master: 'keyturn', timeout: 15 })
    const tokens = opened.artifacts.adapter('AccessToken')
    await tokens.upsert('before', { jti: 'before' }, 600)
    await master.client().wait(1, 5000)
    await master.stop()
    await tokens.upsert('during', { jti: 'during' }, 600)
    assert.ok(await tokens.find('before'))
    assert.equal(await replica.client().dbsize(), 2)
    assert.ok(opened.redis.status.isReachable)
    await opened.close()
  })
})
