import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type ClusterOptions, nodesOf, spansOf } from '../../src/relying-parties/cluster.ts'
import { historyOf, type Order, usualOrders } from '../../src/relying-parties/history.ts'
import { activeKey, isPublished, ringStates } from '../../src/ring/lifecycle.ts'
import { POLICY, policiesOf } from '../support/rings.ts'

const policies = policiesOf(POLICY)
const { maxRingAge, clockSkew } = POLICY
const TIMES = { start: 100_000, until: 110_000 }
const NONE: readonly Order[] = []
const HISTORY = { ...TIMES, makerOffset: -clockSkew, orderOffset: 0, orders: NONE, outages: [] }
const CLUSTER: ClusterOptions = {
  nodes: 20,
  refreshInterval: 7,
  maxRingAge,
  clockSkew,
  ringAgeLimit: true,
  clockLimit: true,
  outages: [],
  until: TIMES.until,
}

describe('a history', () => {
  it('is the plan of the core, written when the clock of the maker says so', () => {
    const versions = historyOf(policies, HISTORY)
    const first = TIMES.start - clockSkew
    assert.deepEqual(
      versions.slice(0, 2).map(({ at, facts }) => [at, facts.keys.map((key) => key.createdAt)]),
      [
        [TIMES.start, [first, first]],
        // The first key signs since 2 x skew before it was made.
        [TIMES.start + 990, [first, first, first + 990]],
      ],
    )
  })

  it('takes orders as soon as they cost nothing, and earlier those that are given ahead', () => {
    const orders = usualOrders(policies, TIMES)
    assert.deepEqual(
      orders.map((order) => order.do),
      [...Array(4).fill('rotate'), 'revoke'],
    )
    const versions = historyOf(policies, { ...HISTORY, orders })
    const events = versions.at(-1)?.facts.events ?? []
    const promoted = events.flatMap((e) => (e.type === 'promote' ? [[e.at, e.activatesAt]] : []))
    const at = promoted[0]?.[0] ?? Number.NaN
    assert.ok(at >= TIMES.start + 3000 && at < TIMES.start + 3000 + POLICY.propagation)
    assert.deepEqual(promoted.slice(0, 4), [
      [at, at],
      [at + clockSkew, at + 100],
      [at + 100 + clockSkew, at + 200],
      [at + 300, at + 300],
    ])
    assert.equal(events.filter(({ type }) => type === 'revoke').length, 1)
  })

  it('waits while nobody reaches the store', () => {
    const outages = [{ from: TIMES.start + 900, until: TIMES.start + 1500 }]
    const [, second] = historyOf(policies, { ...HISTORY, outages })
    assert.equal(second?.at, TIMES.start + 1500)
    const late = second.facts.keys.at(-1)
    assert.equal(late?.createdAt, TIMES.start + 1500 - clockSkew)
    assert.ok(late.activatesAt - late.createdAt >= POLICY.propagation)
  })
})

describe('a cluster', () => {
  const orders = usualOrders(policies, TIMES)
  const versions = historyOf(policies, { ...HISTORY, orders })
  const spans = spansOf(versions, policies, CLUSTER)

  it('signs and serves at every instant what the core says of the facts and clock of a node', () => {
    for (const { node, from, until, version, view } of spans) {
      for (const at of [from, until - 1]) {
        const facts = versions[version]?.facts
        assert.ok(facts)
        const states = ringStates(facts, POLICY, at + node.offset)
        const active = activeKey(states)?.key.kid
        assert.deepEqual([...view.signers.keys()], active === undefined ? [] : [active])
        assert.deepEqual(
          [...view.kids],
          states.filter(isPublished).map((state) => state.key.kid),
        )
      }
    }
  })

  it('has a node of each extreme clock that loads the rings for the last time before each change', () => {
    for (const { at } of versions.slice(1)) {
      const cutOff = spans.filter(
        ({ fault, from }) => fault?.loadedAt === at - 1 && from === at - 1,
      )
      assert.deepEqual(
        new Set(cutOff.map(({ node }) => node.offset)),
        new Set([-clockSkew, clockSkew]),
        `at ${at}`,
      )
    }
  })

  it('is silent where a node could not load the rings for maxRingAge', () => {
    const oldest = (of: typeof spans) =>
      Math.max(...of.flatMap(({ fault, until }) => (fault ? until - 1 - fault.loadedAt : [])))
    assert.equal(oldest(spans), maxRingAge)
    const careless = spansOf(versions, policies, { ...CLUSTER, ringAgeLimit: false })
    assert.ok(oldest(careless) > 1000)
  })

  it('is silent where a clock is off by more than the skew', () => {
    const wrong = (of: typeof spans) =>
      of.filter(({ node }) => Math.abs(node.offset) > clockSkew).length
    assert.equal(nodesOf(versions, CLUSTER).filter((n) => Math.abs(n.offset) > clockSkew).length, 1)
    assert.equal(wrong(spans), 0)
    assert.ok(wrong(spansOf(versions, policies, { ...CLUSTER, clockLimit: false })) > 0)
  })
})
