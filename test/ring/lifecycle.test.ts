import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type KeyEvent, type KeyFacts, keyEvent } from '../../src/ring/key.ts'
import {
  nextChangeAt,
  nextPublishedChangeAt,
  type Phase,
  ringStates,
} from '../../src/ring/lifecycle.ts'
import {
  facts,
  key,
  POLICY,
  policiesOf,
  promoted,
  revoked,
  revokedBefore,
} from '../support/rings.ts'

/** k1 signs 0-1000, k2 1000-2000, k3 from 2000. A key leaves the JWKS 200 after it retires. */
const THREE = [
  key(1, { activatesAt: 0 }),
  key(2, { createdAt: 10, activatesAt: 1000 }),
  key(3, { createdAt: 1000, activatesAt: 2000 }),
]

interface Row {
  readonly situation: string
  readonly keys?: readonly KeyFacts[]
  readonly events?: readonly KeyEvent[]
  readonly now: number
  readonly phases: readonly Phase[]
}

const rows: readonly Row[] = [
  {
    situation: 'before the first activation',
    now: -1,
    phases: ['pre-active', 'pre-active', 'pre-active'],
  },
  { situation: 'at the first activation', now: 0, phases: ['active', 'pre-active', 'pre-active'] },
  {
    situation: 'a second before the switch',
    now: 999,
    phases: ['active', 'pre-active', 'pre-active'],
  },
  { situation: 'at the switch', now: 1000, phases: ['retired', 'active', 'pre-active'] },
  {
    situation: 'a second before retention ends',
    now: 1199,
    phases: ['retired', 'active', 'pre-active'],
  },
  { situation: 'when retention ends', now: 1200, phases: ['archived', 'active', 'pre-active'] },
  {
    situation: 'long after the last planned switch',
    now: 99999,
    phases: ['archived', 'archived', 'active'],
  },
  {
    situation: 'the standby is promoted and the old key retires at that instant',
    events: [promoted('k2', 300)],
    now: 300,
    phases: ['retired', 'active', 'pre-active'],
  },
  {
    situation: 'a promotion is recorded for later and has not come',
    events: [promoted('k2', 300, 100)],
    now: 299,
    phases: ['active', 'pre-active', 'pre-active'],
  },
  {
    situation: 'a promotion to a later instant than planned changes nothing',
    events: [promoted('k2', 1500, 100)],
    now: 1000,
    phases: ['retired', 'active', 'pre-active'],
  },
  {
    situation: 'a later generation is promoted over an earlier one, which never signs',
    events: [promoted('k3', 300)],
    now: 1000,
    phases: ['archived', 'archived', 'active'],
  },
  {
    situation: 'the active key is revoked and the one before it does not come back',
    events: [revoked('k2', 1100)],
    now: 1100,
    phases: ['retired', 'revoked', 'pre-active'],
  },
  {
    situation: 'a standby is revoked before it could sign and its instant passes without effect',
    events: [revoked('k2', 999)],
    now: 1500,
    phases: ['active', 'revoked', 'pre-active'],
  },
  {
    situation: 'a standby is revoked at the instant it activates and counts as having signed',
    events: [revoked('k2', 1000)],
    now: 1000,
    phases: ['retired', 'revoked', 'pre-active'],
  },
  {
    situation: 'a revocation recorded under a clock that is ahead holds at once',
    events: [revoked('k1', 5000)],
    now: 1,
    phases: ['revoked', 'pre-active', 'pre-active'],
  },
  {
    situation: 'keys created strictly before an instant are revoked, those at it are not',
    events: [revokedBefore(10, 500)],
    now: 500,
    phases: ['revoked', 'pre-active', 'pre-active'],
  },
  {
    situation: 'a revocation by date does not reach keys made after it was recorded',
    events: [revokedBefore(5000, 11)],
    now: 1500,
    phases: ['revoked', 'revoked', 'pre-active'],
  },
  {
    situation: 'the clock is set back behind the erasure of a key, and its successor stays active',
    keys: [key(1, { hasPrivateHalf: false }), ...THREE.slice(1)],
    now: 500,
    phases: ['retired', 'active', 'pre-active'],
  },
  {
    situation: 'the clock is set back and the old key can still sign',
    now: 500,
    phases: ['active', 'pre-active', 'pre-active'],
  },
]

describe('the phases of a ring', () => {
  for (const { situation, keys = THREE, events = [], now, phases } of rows) {
    it(`${situation}: ${phases.join(', ')}`, () => {
      const states = ringStates(facts(keys, events), POLICY, now)
      assert.deepEqual(
        states.map((state) => state.phase),
        phases,
      )
    })
  }

  it('are the same whatever order the store returns keys in', () => {
    const shuffled = [THREE[2], THREE[0], THREE[1]] as KeyFacts[]
    assert.deepEqual(
      ringStates(facts(shuffled), POLICY, 1000),
      ringStates(facts(THREE), POLICY, 1000),
    )
  })
})

describe('the instants of a key', () => {
  const stateOf = (events: readonly KeyEvent[], policy = POLICY) => {
    const [first] = ringStates(facts(THREE, events), policy, 0)
    assert.ok(first)
    return first
  }

  it('follow from its successor: it retires when that activates, then retention, then archive', () => {
    const { retiresAt, unpublishAt, deleteAt } = stateOf([])
    assert.deepEqual(
      { retiresAt, unpublishAt, deleteAt },
      { retiresAt: 1000, unpublishAt: 1200, deleteAt: 1700 },
    )
  })

  it('a longer retention in the policy keeps it published longer', () => {
    assert.equal(stateOf([], { ...POLICY, retention: 900 }).unpublishAt, 1900)
  })

  it('a shorter retention in the policy never strands the tokens it signed', () => {
    assert.equal(stateOf([], { ...POLICY, retention: 1 }).unpublishAt, 1200)
  })

  it('an extension that was recorded while it signed outlives a later policy', () => {
    const event = {
      type: 'extend',
      kid: 'k1',
      retention: 700,
      id: 'x',
      ring: POLICY.ring,
      at: 1,
    } as const
    const extension = { ...event, reason: '', actor: '' }
    assert.equal(stateOf([extension], { ...POLICY, retention: 1 }).unpublishAt, 1700)
  })

  it('a token that outlives the retention keeps its key published until it has expired', () => {
    const validUntil = (at: number) =>
      keyEvent({
        type: 'valid-until',
        kid: 'k1',
        validUntil: at,
        ring: POLICY.ring,
        at: 1,
        reason: '',
        actor: '',
      })
    assert.equal(stateOf([validUntil(1500), validUntil(1400)]).unpublishAt, 1500 + POLICY.clockSkew)
    assert.equal(stateOf([validUntil(1100)]).unpublishAt, 1200)
    assert.equal(stateOf([validUntil(1500), revoked('k1', 900)]).unpublishAt, null)
  })

  it('a retirement decided at short notice leaves time for nodes that have not heard of it', () => {
    assert.equal(stateOf([promoted('k2', 300)]).unpublishAt, 300 + POLICY.maxRingAge + 200)
    assert.equal(stateOf([promoted('k2', 300, 290)]).unpublishAt, 290 + POLICY.maxRingAge + 200)
    assert.equal(stateOf([promoted('k2', 300, 100)]).unpublishAt, 500)
  })
})

describe('the next change', () => {
  const policies = policiesOf(POLICY)

  for (const [now, expected] of [
    [-1, 0],
    [0, 1000],
    [999, 1000],
    [1000, 1010],
    [1010, 1200],
    [1200, 1700],
    [1700, 2000],
  ] as const) {
    it(`after ${now} is at ${expected}`, () => {
      assert.equal(nextChangeAt(facts(THREE), policies, now), expected)
    })
  }

  it('is none for a ring with nothing ahead', () => {
    assert.equal(nextChangeAt(facts([key(1)]), policies, 0), null)
  })

  it('of the JWKS ignores erasure and archive', () => {
    assert.equal(nextPublishedChangeAt(facts(THREE), policies, 1000), 1200)
    assert.equal(nextPublishedChangeAt(facts(THREE), policies, 1200), 2000)
  })

  it('of a ring without standby is when its successor is due', () => {
    const lazy = policiesOf({ ...POLICY, standby: false })
    assert.equal(nextPublishedChangeAt(facts([key(1)]), lazy, 0), 900)
  })
})
