import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Change, forecast, futureOf, moments } from '../../src/ring/forecast.ts'
import type { KeyEvent, KeyFacts } from '../../src/ring/key.ts'
import type { RingPolicy } from '../../src/ring/policy.ts'
import { facts, key, POLICY, policiesOf, revoked } from '../support/rings.ts'

/** A change in a line: `1000 activate 2`. */
function line({ at, type, generation }: Change): string {
  return `${at} ${type} ${generation}`
}

const [K1, K2] = [key(1), key(2, { activatesAt: 1000 })]

interface Row {
  readonly situation: string
  readonly keys: readonly KeyFacts[]
  readonly events?: readonly KeyEvent[]
  readonly policy?: Partial<RingPolicy>
  readonly now: number
  readonly steps?: number
  readonly until?: number
  readonly due: readonly string[]
  readonly changes: readonly string[]
}

const rows: readonly Row[] = [
  {
    situation: 'a quiet ring has nothing due and a whole turn ahead',
    keys: [K1, K2],
    now: 500,
    steps: 4,
    due: [],
    changes: [
      '1000 retire 1',
      '1000 activate 2',
      '1000 create 3',
      '1010 erase 1',
      '1200 unpublish 1',
      '1700 delete 1',
    ],
  },
  {
    situation: 'a first start makes keys now and turns them later',
    keys: [],
    now: 50,
    steps: 1,
    due: ['50 create 1', '50 create 2', '50 activate 1'],
    changes: ['1040 retire 1', '1040 activate 2', '1040 create 3'],
  },
  {
    situation: 'without standby the successor is made one propagation ahead',
    keys: [K1],
    policy: { standby: false },
    now: 500,
    steps: 2,
    due: [],
    changes: ['900 create 2', '1000 retire 1', '1000 activate 2'],
  },
  {
    situation: 'a revocation makes the standby sign now and a fresh key soon',
    keys: [K1, K2],
    events: [revoked('k1', 500)],
    now: 500,
    steps: 1,
    due: ['500 promote 2', '500 create 3', '500 erase 1', '500 activate 2'],
    changes: ['600 retire 2', '600 activate 3', '600 create 4'],
  },
  {
    situation: 'it looks no further than it is asked to',
    keys: [K1, K2],
    now: 500,
    until: 1010,
    due: [],
    changes: ['1000 retire 1', '1000 activate 2', '1000 create 3', '1010 erase 1'],
  },
  {
    situation: 'raised token lifetimes are due to be recorded',
    keys: [K1, K2],
    policy: { retention: 300 },
    now: 500,
    until: 999,
    due: ['500 extend 1'],
    changes: [],
  },
  {
    situation: 'a ring that is not configured ends and begins nothing',
    keys: [key(1, { hasPrivateHalf: false }), K2],
    policy: { configured: false },
    now: 1100,
    due: [],
    changes: ['1200 unpublish 1', '1700 delete 1'],
  },
]

describe('the forecast', () => {
  for (const { situation, keys, events = [], policy = {}, due, changes, ...options } of rows) {
    it(`${situation}`, () => {
      const seen = forecast(facts(keys, events), policiesOf({ ...POLICY, ...policy }), options)
      assert.deepEqual(seen.due.map(line), due)
      assert.deepEqual(seen.changes.map(line), changes)
    })
  }

  it('tells what RPs see in the JWKS, and nothing if they see nothing', () => {
    const readers = (policy: Partial<RingPolicy>) =>
      forecast(facts([K1, K2]), policiesOf({ ...POLICY, ...policy }), {
        now: 500,
        steps: 2,
      }).changes.map((change) => change.readers)
    const [retire, activate, create, erase] = readers({})
    assert.match(retire ?? '', /verify as before; the JWKS shows it until 1970-01-01T00:20:00Z/)
    assert.match(activate ?? '', /new tokens carry its kid/)
    assert.match(create ?? '', /shows a new key, to sign from 1970-01-01T00:33:20Z/)
    assert.equal(erase, null)
    assert.ok(readers({ published: false, archive: 0 }).every((text) => text === null))
  })

  it('has a kid for each key that exists, and none for future keys', () => {
    const { changes } = forecast(facts([K1, K2]), policiesOf(POLICY), { now: 500, steps: 1 })
    assert.deepEqual(
      changes.map((change) => change.kid),
      ['k1', 'k2', null],
    )
  })

  it('counts steps of each ring alone, however fast another turns', () => {
    const fast = { ...POLICY, ring: 'cookie', algorithm: 'HS256', published: false }
    const policies = policiesOf(POLICY, { ...fast, cryptoperiod: 150, retention: 20, archive: 0 })
    const { changes } = forecast(facts([]), policies, { now: 0, steps: 2 })
    const instants = (ring: string) =>
      new Set(changes.filter((change) => change.ring === ring).map((change) => change.at)).size
    assert.equal(instants('cookie'), 2)
    assert.equal(instants(POLICY.ring), 2)
  })

  it('reaches the steps of a slow ring beside one that turns a thousand times as fast', () => {
    const fast = { ...POLICY, ring: 'cookie', algorithm: 'HS256', published: false }
    const slow = { ...POLICY, cryptoperiod: 8_000_000 }
    const policies = policiesOf(slow, { ...fast, cryptoperiod: 150, retention: 20, archive: 0 })
    const { changes, cutAt } = forecast(facts([]), policies, { now: 0, steps: 2 })
    const ofRing = (ring: string) =>
      new Set(changes.filter((c) => c.ring === ring).map((c) => c.at))
    assert.equal(ofRing(POLICY.ring).size, 2)
    assert.equal(ofRing('cookie').size, 2)
    assert.equal(cutAt, null)
  })

  it('has the instant at which it was cut off if there are too many changes', () => {
    const policies = policiesOf({ ...POLICY, cryptoperiod: 150, retention: 20, archive: 0 })
    const { changes, cutAt } = forecast(facts([]), policies, { now: 0, until: 1e9 })
    assert.equal(changes.at(-1)?.at, cutAt)
    assert.ok(cutAt !== null && cutAt < 1e9)
    assert.equal(forecast(facts([]), policies, { now: 0, until: 10_000 }).cutAt, null)
  })

  it('follows one key from now until its record is deleted', () => {
    const future = futureOf('k2', facts([K1, K2]), policiesOf(POLICY), 500)
    assert.deepEqual(future.map(line), [
      '1000 activate 2',
      '2000 retire 2',
      '2010 erase 2',
      '2200 unpublish 2',
      '2700 delete 2',
    ])
  })

  it('changes none of its facts and gives the same result again', () => {
    const given = facts([K1, K2])
    const before = structuredClone(given)
    const twice = [1, 2].map(() => [...moments(given, policiesOf(POLICY), 500).take(100)])
    assert.deepEqual(twice[0], twice[1])
    assert.deepEqual(given, before)
    // After 100 moments the ring has turned many times and never had a gap.
    const turns = twice[0]?.flatMap(({ changes }) => changes) ?? []
    const activations = turns.filter((change) => change.type === 'activate')
    assert.ok(activations.length > 10)
    for (const [index, { generation }] of activations.entries()) assert.equal(generation, index + 2)
  })
})
