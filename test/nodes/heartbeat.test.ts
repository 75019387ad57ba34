import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { StoreUnavailable } from '../../src/errors.ts'
import { createDatabaseClock } from '../../src/nodes/database-clock.ts'
import { createHeartbeat } from '../../src/nodes/heartbeat.ts'
import type { NodeReport } from '../../src/nodes/node.ts'
import type { NodeStore } from '../../src/nodes/node-store.ts'
import { nodesCheck, writesCheck } from '../../src/server/readiness.ts'
import { policiesOf } from '../support/rings.ts'
import { NO_CLOCK, POLICY_90_DAYS, setUp as setUpScheduler } from '../support/scheduler.ts'

const REFRESH = 30

/** Two nodes that meet in one list; the second is only told of. */
async function setUp() {
  const { scheduler, clock } = setUpScheduler()
  const stored = new Map<string, NodeReport>()
  const state = { down: false }
  const guard = () => {
    if (state.down) throw new Error('the test took the database away')
  }
  const store: NodeStore = {
    ...NO_CLOCK,
    report: async (node) => {
      guard()
      stored.set(node.id, node)
    },
    list: async () => [...stored.values()],
    remove: async ({ id }) => {
      guard()
      stored.delete(id)
    },
    forget: async (before) => {
      for (const { id, seenAt } of stored.values()) if (seenAt < before) stored.delete(id)
    },
  }
  const lines: string[] = []
  const note = (_data: object, message: string) => void lines.push(message)
  const heartbeat = createHeartbeat({
    store,
    databaseClock: createDatabaseClock({ store, clock, clockSkew: 60 }),
    policies: policiesOf(POLICY_90_DAYS),
    refreshInterval: REFRESH,
    maxRingAge: 3600,
    node: { id: 'this', version: '1', issuer: 'https://id.example', startedAt: clock.now() },
    log: { info: note, warn: note, error: note },
  })
  const beat = async () => {
    heartbeat.beat(scheduler.status)
    await clock.settle()
  }
  await scheduler.runOnce()
  return { scheduler, clock, stored, state, heartbeat, beat, lines }
}

describe('the heartbeat', () => {
  it('tells what this node knows, and forgets it when it stops', async () => {
    const { scheduler, stored, beat, heartbeat } = await setUp()
    await beat()
    const view = scheduler.status.view
    const told = stored.get('this')
    assert.equal(told?.ringHash, view?.hash)
    assert.deepEqual(
      told?.kids,
      view?.states.map((state) => state.key.kid),
    )
    assert.equal(told?.obstacle, null)
    await heartbeat.stop()
    assert.deepEqual([...stored.keys()], [])
  })

  it('names a live node that has not loaded a key, once in the log, until it has', async () => {
    const { clock, stored, beat, heartbeat, lines, scheduler } = await setUp()
    const other = async (kids: readonly string[]) => {
      const mine = stored.get('this')
      assert.ok(mine)
      stored.set('other', { ...mine, id: 'other', seenAt: clock.now(), kids })
      await beat()
    }
    const [first, second] = scheduler.status.view?.states.map((state) => state.key.kid) ?? []
    assert.ok(first && second)
    await beat()
    await other([first])
    const unseen = () => heartbeat.unseen.map(({ node, key }) => [node.id, key.key.kid])
    assert.deepEqual(unseen(), [], 'it still has time')
    await clock.pass(3600)
    await scheduler.runOnce()
    await other([first])
    await other([first])
    assert.deepEqual(unseen(), [['other', second]])
    const told = lines.filter((line) => line.includes('node other has not loaded generation 2'))
    assert.equal(told.length, 1)
    await other([first, second])
    assert.deepEqual(unseen(), [])
  })

  it('names a node that serves another issuer, once in the log, while it is there', async () => {
    const { stored, beat, heartbeat, lines } = await setUp()
    await beat()
    const mine = stored.get('this')
    assert.ok(mine)
    stored.set('other', { ...mine, id: 'other', issuer: 'https://staging.example' })
    const others = () => heartbeat.nodesOfOtherIssuers.map(({ id }) => id)
    await beat()
    await beat()
    assert.deepEqual(others(), ['other'])
    const told = lines.filter((line) => line.includes('node other is on the same database'))
    assert.equal(told.length, 1)
    assert.match(told[0] ?? '', /https:\/\/staging\.example/)
    assert.match(nodesCheck(heartbeat, { live: 2, halted: 0, silent: 0 }).detail, /node other/)
    assert.equal(nodesCheck(heartbeat, { live: 2, halted: 0, silent: 0 }).degraded, true)
    stored.delete('other')
    await beat()
    assert.deepEqual(others(), [])
  })

  it('goes on without a database, says so once, and forgets nodes after a day', async () => {
    const { clock, stored, state, beat, lines, heartbeat, scheduler } = await setUp()
    await beat()
    state.down = true
    await beat()
    await beat()
    assert.equal(lines.filter((line) => line.includes('cannot exchange')).length, 1)
    assert.equal(heartbeat.nodes.length, 1)
    await heartbeat.stop()
    state.down = false
    const mine = stored.get('this')
    assert.ok(mine)
    stored.set('gone', { ...mine, id: 'gone' })
    await clock.pass(86_401)
    await scheduler.runOnce()
    await beat()
    assert.deepEqual([...stored.keys()], ['this'])
  })

  it('whose own write fails is degraded, and not ready once another node has written', async () => {
    const { clock, stored, state, beat, heartbeat } = await setUp()
    const check = () => writesCheck(heartbeat, { refreshInterval: REFRESH, now: clock.now() })
    await beat()
    assert.deepEqual([check().ok, check().degraded], [true, undefined])
    const mine = stored.get('this')
    assert.ok(mine)
    stored.set('other', { ...mine, id: 'other', seenAt: clock.now() })
    state.down = true
    await beat()
    assert.deepEqual([check().ok, check().degraded], [true, true])
    assert.match(check().detail, /has not been able to write since .*took the database away/)

    await clock.pass(REFRESH)
    stored.set('other', { ...mine, id: 'other', seenAt: clock.now() })
    await beat()
    assert.equal(check().ok, false)
    assert.match(check().detail, /Others can: other/)

    state.down = false
    await beat()
    assert.deepEqual([check().ok, check().degraded], [true, undefined])
  })

  it('on a database that stays read-only is not ready after as long as makes a node silent', async () => {
    const error = new StoreUnavailable('Cannot tell of this node', { code: '25006' })
    Object.assign(error, { cause: Object.assign(new Error('read-only'), { code: '25006' }) })
    const failure = { since: 1000, error, others: [] }
    const at = (now: number) => writesCheck({ failure }, { refreshInterval: REFRESH, now })
    assert.deepEqual([at(1000).ok, at(1000).degraded], [true, true])
    assert.equal(at(1000 + 3 * REFRESH).ok, true)
    assert.equal(at(1001 + 3 * REFRESH).ok, false)
    assert.match(at(2000).detail, /read-only for longer than 90 s/)
    // Where nothing can be known, a node is not taken away from the others.
    const lost = { failure: { ...failure, error: new StoreUnavailable('Cannot tell') } }
    assert.equal(writesCheck(lost, { refreshInterval: REFRESH, now: 9000 }).ok, true)
  })

  it('names a node that fell silent, until that one cannot sign any more', async () => {
    const { clock, stored, beat, heartbeat, lines } = await setUp()
    await beat()
    const mine = stored.get('this')
    assert.ok(mine)
    stored.set('other', { ...mine, id: 'other', seenAt: clock.now() })
    await clock.pass(3 * REFRESH + 1)
    await beat()
    assert.deepEqual(
      heartbeat.missing.map(({ id }) => id),
      ['other'],
    )
    const check = nodesCheck(heartbeat, { live: 1, halted: 0, silent: 1 })
    assert.deepEqual([check.ok, check.degraded], [true, true])
    assert.match(check.detail, /node other has been silent since .*two primaries/)
    assert.ok(lines.some((line) => /node other has been silent/.test(line)))
    await clock.pass(3600)
    await beat()
    assert.deepEqual(heartbeat.missing, [])
  })
})
