import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Action } from '../../src/ring/action.ts'
import { type KeyEvent, type KeyFacts, NEVER } from '../../src/ring/key.ts'
import { plan } from '../../src/ring/plan.ts'
import {
  facts,
  key,
  POLICY,
  policiesOf,
  promoted,
  revoked,
  revokedBefore,
} from '../support/rings.ts'

/** An action in a line: `create 2 @1000`, `promote k2 @300`, `erase k1`. */
function line(action: Action): string {
  if (action.type === 'create') return `create ${action.generation} @${action.activatesAt}`
  if (action.type !== 'record') return `${action.type} ${action.kid}`
  const { event } = action
  if (event.type === 'promote') return `promote ${event.kid} @${event.activatesAt}`
  return event.type === 'extend' ? `extend ${event.kid} to ${event.retention}` : event.type
}

const [K1, K2] = [key(1), key(2, { createdAt: 0, activatesAt: 1000 })]

interface Row {
  readonly situation: string
  readonly keys: readonly KeyFacts[]
  readonly events?: readonly KeyEvent[]
  readonly policy?: Partial<typeof POLICY>
  readonly now: number
  readonly actions: readonly string[]
}

const rows: readonly Row[] = [
  {
    situation: 'a first start makes a key that is active at once, and its standby',
    keys: [],
    now: 50,
    actions: ['create 1 @40', 'create 2 @1040'],
  },
  {
    situation: 'a first start without standby makes one key',
    keys: [],
    policy: { standby: false },
    now: 50,
    actions: ['create 1 @40'],
  },
  {
    situation:
      'a ring added to a running deployment makes RPs wait for nobody: it is published first',
    keys: [key(1, { ring: 'sig/RS256', kid: 'r1' })],
    now: 50,
    actions: ['create 1 @150'],
  },
  {
    situation: 'the first key of an added ring waits for its time',
    keys: [key(1, { ring: 'sig/RS256', kid: 'r1' }), key(1, { createdAt: 50, activatesAt: 150 })],
    now: 60,
    actions: [],
  },
  {
    situation: 'a cookie ring added later signs at once: no RP knows it',
    keys: [key(1, { ring: 'sig/RS256', kid: 'r1' })],
    policy: { published: false },
    now: 50,
    actions: ['create 1 @40', 'create 2 @1040'],
  },
  {
    situation:
      'a ring that was turned by hand and turns by itself again switches to the key that waits',
    keys: [K1, key(2, { createdAt: 0, activatesAt: NEVER })],
    now: 500,
    actions: ['promote k2 @1000'],
  },
  {
    situation: 'a ring with an active key and a standby needs nothing',
    keys: [K1, K2],
    now: 500,
    actions: [],
  },
  {
    situation: 'at the switch the next standby is made',
    keys: [K1, K2],
    now: 1000,
    actions: ['create 3 @2000'],
  },
  {
    situation: 'a second before the private half may go it stays',
    keys: [K1, K2, key(3, { createdAt: 1000, activatesAt: 2000 })],
    now: 1009,
    actions: [],
  },
  {
    situation: 'the private half goes once the key has retired for twice the skew',
    keys: [K1, K2, key(3, { createdAt: 1000, activatesAt: 2000 })],
    now: 1010,
    actions: ['erase k1'],
  },
  {
    situation: 'a successor made late is still published for its whole propagation',
    keys: [K1],
    now: 5000,
    actions: ['create 2 @5100'],
  },
  {
    situation: 'without standby the successor is not made a second too early',
    keys: [K1],
    policy: { standby: false },
    now: 899,
    actions: [],
  },
  {
    situation: 'without standby the successor is made one propagation before it signs',
    keys: [K1],
    policy: { standby: false },
    now: 900,
    actions: ['create 2 @1000'],
  },
  {
    situation:
      'the active key is revoked: the standby signs, a fresh key follows one propagation later',
    keys: [K1, K2],
    events: [revoked('k1', 500)],
    now: 500,
    actions: ['promote k2 @500', 'create 3 @600', 'erase k1'],
  },
  {
    situation:
      'after the fresh key has signed, RPs have been flushed and the ring is back on its plan',
    keys: [
      key(1, { hasPrivateHalf: false }),
      key(2, { createdAt: 0, activatesAt: 1000, hasPrivateHalf: false }),
      key(3, { createdAt: 500, activatesAt: 600 }),
    ],
    events: [revoked('k1', 500), promoted('k2', 500)],
    now: 610,
    actions: ['create 4 @1600'],
  },
  {
    situation:
      'the active key is revoked and there is no standby: a key is made that signs at once',
    keys: [K1],
    policy: { standby: false },
    events: [revoked('k1', 500)],
    now: 500,
    actions: ['create 2 @500', 'erase k1'],
  },
  {
    situation: 'the standby is revoked: the active key goes on and a fresh one takes over soon',
    keys: [K1, K2],
    events: [revoked('k2', 500)],
    now: 500,
    actions: ['create 3 @600', 'erase k2'],
  },
  {
    situation: 'a retired key is revoked: a kid that RPs do not know flushes it from their memory',
    keys: [key(1, { hasPrivateHalf: false }), K2, key(3, { createdAt: 1000, activatesAt: 2000 })],
    events: [revoked('k1', 1100)],
    now: 1100,
    actions: ['create 4 @1200'],
  },
  {
    situation: 'all keys are revoked by date: the ring starts over at once',
    keys: [K1, K2],
    events: [revokedBefore(501, 500)],
    now: 500,
    actions: ['create 3 @500', 'create 4 @1500', 'erase k1', 'erase k2'],
  },
  {
    situation: 'the clock was set back behind a revocation and the ring still gets a signer',
    keys: [K1],
    policy: { standby: false },
    events: [revoked('k1', 500)],
    now: 100,
    actions: ['create 2 @500', 'promote sig/ES256#2 @100'],
  },
  {
    situation: 'the record of the active key was lost: the standby takes over if RPs know it',
    keys: [key(2, { createdAt: 0, activatesAt: 1000 })],
    now: 500,
    actions: ['promote k2 @500', 'create 3 @1500'],
  },
  {
    situation: 'the record of the active key was lost: a standby RPs may not know waits',
    keys: [key(2, { createdAt: 450, activatesAt: 1000 })],
    now: 500,
    actions: ['promote k2 @550'],
  },
  {
    situation: 'token lifetimes were raised: the active key is kept published longer',
    keys: [K1, K2],
    policy: { retention: 300 },
    now: 500,
    actions: ['extend k1 to 300'],
  },
  {
    situation: 'token lifetimes were lowered: nothing changes for keys that exist',
    keys: [K1, K2],
    policy: { retention: 100 },
    now: 500,
    actions: [],
  },
  {
    situation: 'a record is deleted when its archive time is over',
    keys: [
      key(1, { hasPrivateHalf: false }),
      key(2, { activatesAt: 1000 }),
      key(3, { createdAt: 1000, activatesAt: 2000 }),
    ],
    now: 1700,
    actions: ['delete k1'],
  },
  {
    situation: 'a ring that is no longer configured keeps its keys and makes none',
    keys: [K1],
    policy: { configured: false },
    now: 5000,
    actions: [],
  },
  {
    situation: 'a cookie key is never erased, as it has no public half to verify with',
    keys: [K1, K2, key(3, { createdAt: 1000, activatesAt: 2000 })],
    policy: { published: false, archive: 0 },
    now: 1199,
    actions: [],
  },
  {
    situation: 'a cookie key is deleted when no session can carry its signature',
    keys: [K1, K2, key(3, { createdAt: 1000, activatesAt: 2000 })],
    policy: { published: false, archive: 0 },
    now: 1200,
    actions: ['delete k1'],
  },
]

describe('the plan', () => {
  for (const { situation, keys, events = [], policy = {}, now, actions } of rows) {
    it(`${situation}`, () => {
      const planned = plan(facts(keys, events), policiesOf({ ...POLICY, ...policy }), now)
      assert.deepEqual(planned.actions.map(line), actions)
    })
  }

  it('covers every configured ring', () => {
    const policies = policiesOf(POLICY, { ...POLICY, ring: 'sig/RS256', algorithm: 'RS256' })
    const rings = plan(facts([]), policies, 0).actions.map((action) => action.ring)
    assert.deepEqual(rings, ['sig/ES256', 'sig/ES256', 'sig/RS256', 'sig/RS256'])
  })

  it('withholds a successor rather than publish more keys than RPs accept, and says so', () => {
    const retired = Array.from({ length: 9 }, (_, i) =>
      key(i + 1, { activatesAt: i, hasPrivateHalf: false }),
    )
    const { actions, warnings } = plan(
      facts([...retired, key(10, { activatesAt: 10 })]),
      policiesOf(POLICY),
      20,
    )
    assert.deepEqual(actions, [])
    assert.match(warnings[0] ?? '', /no successor yet: 10 keys are published/)
  })
})
