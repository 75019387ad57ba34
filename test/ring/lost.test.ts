import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { serializedKey } from '../../src/conformance/records.ts'
import type { KeyEvent } from '../../src/ring/key.ts'
import type { SerializedEvent } from '../../src/ring/key-store.ts'
import { ringStates } from '../../src/ring/lifecycle.ts'
import { lostRecords, together } from '../../src/ring/lost.ts'
import { facts, key, POLICY, policiesOf, revoked } from '../support/rings.ts'

/** Key 1 signed from 0 to 1000, key 2 signs from 1000 on, key 3 from 2000 on. */
const KEYS = [key(1), key(2, { activatesAt: 1000 }), key(3, { createdAt: 1000, activatesAt: 2000 })]
const RECORDS = KEYS.map(({ kid, generation }) => serializedKey(generation, { id: kid }))
const policies = policiesOf(POLICY)

function event(id: string): SerializedEvent {
  return { id, ring: POLICY.ring, type: 'revoke', at: 1, data: id }
}

/** kids that a node puts back at `now` where the store has the keys of `stored` only. */
function putBack(now: number, stored: readonly string[], events: readonly KeyEvent[] = []) {
  const states = ringStates(facts(KEYS, events), POLICY, now)
  const known = { keys: RECORDS, events: [] }
  const lost = lostRecords(known, { kids: stored, events: [] }, { states, policies, now })
  return lost.keys.map(({ id }) => id)
}

describe('keys that a store has lost', () => {
  const extended: KeyEvent = {
    ...{ id: 'v', type: 'valid-until', ring: POLICY.ring, kid: 'k1', validUntil: 5000 },
    ...{ at: 900, reason: 'test', actor: 'test' },
  }
  const table: readonly [string, number, readonly string[], readonly string[], KeyEvent[]?][] = [
    ['none, where the store has all', 1100, ['k1', 'k2', 'k3'], []],
    ['all, from a store that lost all', 1100, [], ['k1', 'k2', 'k3']],
    ['the active key', 1100, ['k1', 'k3'], ['k2']],
    ['a standby that does not sign yet', 1100, ['k1', 'k2'], ['k3']],
    ['a retired key while RPs need it', 1189, ['k2', 'k3'], ['k1']],
    ['no retired key that others may have deleted in good order', 1190, ['k2', 'k3'], []],
    ['a retired key whose tokens live longer', 4989, ['k2', 'k3'], ['k1'], [extended]],
    ['not even that one once they have expired', 4990, ['k2', 'k3'], [], [extended]],
    ['no revoked key', 1100, ['k2', 'k3'], [], [revoked('k1', 1050)]],
  ]
  for (const [what, now, stored, expected, events] of table) {
    it(`puts back ${what}`, () => assert.deepEqual(putBack(now, stored, events), expected))
  }

  it('puts back no key whose state is unknown', () => {
    const known = { keys: [serializedKey(9)], events: [] }
    const lost = lostRecords(known, { kids: [], events: [] }, { states: [], policies, now: 0 })
    assert.deepEqual(lost.keys, [])
  })
})

describe('events that a store has lost', () => {
  it('are put back whatever their age, and an edited event counts as lost', () => {
    const known = { keys: [], events: [event('a'), event('b'), event('c')] }
    const loaded = { kids: [], events: ['b'] }
    const lost = lostRecords(known, loaded, { states: [], policies, now: 9_000_000_000 })
    assert.deepEqual(lost.events, [event('a'), event('c')])
  })

  it('are in the union with others once each, the known one first', () => {
    const edited = { ...event('a'), at: 2 }
    const both = together([event('a'), event('b')], [edited, event('c')])
    assert.deepEqual(both, [event('a'), event('b'), event('c')])
  })
})
