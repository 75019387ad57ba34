import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type KeyFacts, resolveDefaultKey } from '../../src/data-protection/default-key.ts'
import { newGuid } from '../../src/data-protection/guid.ts'
import {
  checkPolicy,
  DEFAULT_POLICY,
  planKeyRing,
  type RingFacts,
} from '../../src/data-protection/plan.ts'
import { formatTicks, TICKS_PER_DAY, type Ticks, ticksOf } from '../../src/values/ticks.ts'

const NOW = ticksOf('2026-06-01T00:00:00Z')
const day = (days: number): Ticks => NOW + (BigInt(Math.round(days * 1440)) * TICKS_PER_DAY) / 1440n
const MINUTES = 1 / 1440

interface Given {
  readonly id?: string
  readonly created?: number
  readonly activates: number
  readonly expires: number
  readonly revoked?: boolean
  readonly unusable?: boolean
}

/** Days from now. */
function key({
  id = 'f0000000-0000-4000-8000-000000000000',
  activates,
  expires,
  created = activates,
  ...rest
}: Given): KeyFacts {
  const { revoked = false, unusable = false } = rest
  const [createdAt, activatesAt, expiresAt] = [day(created), day(activates), day(expires)]
  return { id, createdAt, activatesAt, expiresAt, revoked, isUsable: () => !unusable }
}

function facts(keys: readonly Given[], rest: Partial<RingFacts> = {}): RingFacts {
  return { keys: keys.map(key), revokedBefore: undefined, isWhole: true, ...rest }
}

const plan = (given: RingFacts) => planKeyRing(given, DEFAULT_POLICY, NOW)

const cases: readonly {
  name: string
  keys: readonly Given[]
  /** Day on which the made key activates; undefined for none. */
  made?: number
  ends: number
  late: boolean
}[] = [
  { name: 'no key: one at once', keys: [], made: 0, ends: 0, late: true },
  {
    name: 'a key in the middle of its life: none',
    keys: [{ activates: -40, expires: 50 }],
    ends: 50,
    late: false,
  },
  {
    name: 'a fortnight and a minute before the end: none',
    keys: [{ activates: -70, expires: 14 + MINUTES }],
    ends: 14 + MINUTES,
    late: false,
  },
  {
    name: 'a fortnight before the end: its successor',
    keys: [{ activates: -76, expires: 14 }],
    made: 14,
    ends: 14,
    late: false,
  },
  {
    name: 'a week before the end: late',
    keys: [{ activates: -83, expires: 7 }],
    made: 7,
    ends: 7,
    late: true,
  },
  {
    name: 'a successor stands there: none',
    keys: [
      { activates: -80, expires: 10 },
      { id: 'e0000000-0000-4000-8000-000000000000', created: -4, activates: 10, expires: 86 },
    ],
    ends: 86,
    late: false,
  },
  {
    name: 'the successor comes too late: one between',
    keys: [
      { activates: -80, expires: 10 },
      { id: 'e0000000-0000-4000-8000-000000000000', created: -4, activates: 12, expires: 86 },
    ],
    made: 10,
    ends: 10,
    late: false,
  },
  {
    name: 'the successor is revoked: one after it',
    keys: [
      { activates: -80, expires: 10 },
      {
        id: 'e0000000-0000-4000-8000-000000000000',
        created: -4,
        activates: 10,
        expires: 86,
        revoked: true,
      },
    ],
    made: 10,
    ends: 10 - 5 * MINUTES,
    late: false,
  },
  {
    name: 'the default key is revoked: one at once',
    keys: [{ activates: -40, expires: 50, revoked: true }],
    made: 0,
    ends: 0,
    late: true,
  },
  {
    name: 'the default key is damaged, an older one is fine: one at once',
    keys: [
      { activates: -40, expires: 50 },
      { id: 'e0000000-0000-4000-8000-000000000000', activates: -10, expires: 80, unusable: true },
    ],
    made: 0,
    ends: 0,
    late: true,
  },
  {
    name: 'all expired: one at once',
    keys: [{ activates: -100, expires: -10 }],
    made: 0,
    ends: 0,
    late: true,
  },
]

describe('the plan of a ring', () => {
  for (const { name, keys, made, ends, late } of cases) {
    it(`is decided by when there is no default key: ${name}`, () => {
      const given = facts(keys)
      const planned = plan(given)
      assert.equal(formatTicks(planned.endsAt), formatTicks(day(ends)))
      assert.equal(planned.late, late)
      if (made === undefined) {
        assert.equal(planned.make, undefined)
        return
      }
      assert.ok(planned.make)
      assert.equal(planned.make.activatesAt, day(made))
      assert.equal(planned.make.createdAt, NOW)
      assert.equal(planned.make.expiresAt, day(90))
    })

    it(`needs nothing more once its key is there: ${name}`, () => {
      let given = facts(keys)
      for (let round = 0; round < 3; round++) {
        const { make } = plan(given)
        if (!make) break
        assert.equal(round, 0, 'one key is enough')
        const id = newGuid(make.idBelow)
        const added = { ...make, id, revoked: false, isUsable: () => true }
        given = { ...given, keys: [...given.keys, added] }
      }
      assert.equal(plan(given).make, undefined)
      assert.notEqual(resolveDefaultKey(given.keys, NOW).key, null)
    })
  }

  it('makes none while an element cannot be read, since the key may be in it, and is late all the same', () => {
    const { make, blocked, late } = plan(facts([], { isWhole: false }))
    assert.deepEqual(
      { make, blocked, late },
      { make: undefined, blocked: 'elements_unreadable', late: true },
    )
  })

  it('makes none that a revocation of the future would revoke at once', () => {
    const revoked = [{ activates: -40, expires: 50, revoked: true }]
    const { make, blocked } = plan(facts(revoked, { revokedBefore: day(1) }))
    assert.deepEqual({ make, blocked }, { make: undefined, blocked: 'revoked_in_the_future' })
    assert.ok(plan(facts(revoked, { revokedBefore: NOW })).make)
  })

  it('tells when a key is due and when the keeper is late', () => {
    const { dueAt, lateAt } = plan(facts([{ activates: -40, expires: 50 }]))
    assert.equal(dueAt, day(36))
    assert.equal(lateAt, day(43))
  })
})

describe('the policy of a ring', () => {
  it('is refused where keys would be made without end, or too late for who reads once a day', () => {
    checkPolicy(DEFAULT_POLICY)
    const days = (lifetime: number, lead: number, notice: number) => ({
      lifetime: BigInt(lifetime) * TICKS_PER_DAY,
      lead: BigInt(lead) * TICKS_PER_DAY,
      notice: BigInt(notice) * TICKS_PER_DAY,
    })
    for (const policy of [days(6, 3, 2), days(90, 46, 7), days(90, 7, 7), days(90, 14, 1)]) {
      assert.throws(() => checkPolicy(policy), TypeError)
    }
  })
})
