import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  countNodes,
  type NodeReport,
  nodeState,
  nodesOfOtherIssuers,
  unseenKeys,
} from '../../src/nodes/node.ts'
import type { KeyEvent } from '../../src/ring/key.ts'
import { ringStates } from '../../src/ring/lifecycle.ts'
import { facts, key, POLICY, policiesOf, revoked } from '../support/rings.ts'

const REFRESH = 10
const node = (id: string, more: Partial<NodeReport> = {}): NodeReport => ({
  id,
  version: '1',
  issuer: 'https://id.example',
  startedAt: 0,
  seenAt: 1000,
  ringHash: 'h',
  ringAge: 0,
  clockOffset: 0,
  kids: ['k1', 'k2'],
  obstacle: null,
  ...more,
})

describe('a node', () => {
  it('is silent after three missed refresh intervals, and stopped when it says so', () => {
    assert.equal(nodeState(node('a'), REFRESH, 1030), 'live')
    assert.equal(nodeState(node('a'), REFRESH, 1031), 'silent')
    assert.equal(nodeState(node('a', { obstacle: 'clock' }), REFRESH, 1000), 'halted')
    assert.deepEqual(countNodes([node('a'), node('b', { seenAt: 0 }), node('c')], REFRESH, 1000), {
      live: 2,
      halted: 0,
      silent: 1,
    })
  })
})

describe('a node that serves another issuer', () => {
  it('is a stranger while it lives, signing or not', () => {
    const other = (id: string, more: Partial<NodeReport> = {}) =>
      node(id, { issuer: 'https://staging.example', ...more })
    const all = [
      node('mine'),
      other('a'),
      other('b', { obstacle: 'clock' }),
      other('c', { seenAt: 0 }),
    ]
    const options = { issuer: 'https://id.example', refreshInterval: REFRESH, now: 1000 }
    assert.deepEqual(
      nodesOfOtherIssuers(all, options).map(({ id }) => id),
      ['a', 'b'],
    )
  })
})

describe('a key that a live node has not loaded', () => {
  const policies = policiesOf(POLICY)
  // k2 was made at 1000 and signs from 1200; nodes have 40 s (maxRingAge) to load it.
  const keys = [key(1, { activatesAt: 0 }), key(2, { createdAt: 1000, activatesAt: 1200 })]
  const unseen = (nodes: readonly NodeReport[], now: number, events: readonly KeyEvent[] = []) =>
    unseenKeys(nodes, ringStates(facts(keys, events), POLICY, now), {
      policies,
      refreshInterval: REFRESH,
      now,
    }).map(({ node, key }) => `${node.id} ${key.key.kid}`)

  it('is told apart once it had the time to, well before the key signs', () => {
    const late = (now: number) => node('late', { seenAt: now, kids: ['k1'] })
    assert.deepEqual(unseen([late(1039)], 1039), [])
    assert.deepEqual(unseen([node('good', { seenAt: 1040 }), late(1040)], 1040), ['late k2'])
  })

  it('is no matter on a node that is silent or has stopped: it does not sign either', () => {
    const silent = node('silent', { seenAt: 1000, kids: [] })
    const stopped = node('halted', { seenAt: 1100, kids: [], obstacle: 'old' })
    assert.deepEqual(unseen([silent, stopped], 1100), [])
  })

  it('is no matter once it was revoked', () => {
    const late = node('late', { seenAt: 1100, kids: ['k1'] })
    assert.deepEqual(unseen([late], 1100), ['late k2'])
    assert.deepEqual(unseen([late], 1100, [revoked('k2', 1050)]), [])
  })
})
