import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { assume } from '../../src/ring/action.ts'
import type { RingFacts } from '../../src/ring/lifecycle.ts'
import {
  findKid,
  newlyRevoked,
  orderPromotion,
  orderRevocation,
  orderRevocationBefore,
  orderRotation,
} from '../../src/ring/orders.ts'
import { facts, key, POLICY, policiesOf, revoked } from '../support/rings.ts'

const policies = policiesOf(POLICY)
const { ring } = POLICY
const ORDER = { actor: 'operator', reason: 'asked' }

/** Key 1 signs, key 2 was made at 50 and waits for 1000. RPs know a key 100 s after it was made. */
const RINGS = facts([key(1), key(2, { createdAt: 50, activatesAt: 1000 })])

describe('an order to rotate', () => {
  const rotate = (rings: RingFacts, now: number) =>
    orderRotation(rings, policies, { ...ORDER, ring, now })

  for (const [what, now, at] of [
    ['at once where RPs know the standby', 400, 400],
    ['at once from the very second at which they do', 150, 150],
    ['as soon as they do where it is young', 60, 150],
  ] as const) {
    it(`promotes the standby ${what}`, () => {
      const action = rotate(RINGS, now)
      assert.ok(action.type === 'record' && action.event.type === 'promote')
      const { kid, activatesAt, actor, reason } = action.event
      assert.deepEqual([kid, activatesAt, actor, reason], ['k2', at, 'operator', 'asked'])
    })
  }

  it('makes the next key if none waits, to sign once RPs know it', () => {
    const action = rotate(facts([key(1)]), 400)
    assert.ok(action.type === 'create')
    assert.deepEqual([action.generation, action.activatesAt], [2, 500])
  })

  const full = Array.from({ length: 10 }, (_, i) => key(i + 1, { activatesAt: i * 10 }))
  for (const [why, rings, now, code, details] of [
    [
      'the ring turns as soon anyway',
      facts([key(1), key(2, { createdAt: 50, activatesAt: 150 })]),
      60,
      'already_turns',
      { ring, kid: 'k2', at: 150 },
    ],
    ['no key signs', facts([]), 60, 'nothing_to_rotate', { ring }],
    ['the JWKS is full', facts(full), 90, 'jwks_full', { ring, freeAt: 240 }],
  ] as const) {
    it(`is refused if ${why}`, () => {
      assert.throws(() => rotate(rings, now), { code, details })
    })
  }

  it('is refused for a ring that is not configured', () => {
    const order = { ...ORDER, ring: 'sig/RS256', now: 1 }
    const details = { ring: 'sig/RS256', configured: [ring] }
    assert.throws(() => orderRotation(RINGS, policies, order), { code: 'ring_not_found', details })
  })
})

describe('an order to promote', () => {
  const promote = (kid: string, now: number, force = false) =>
    orderPromotion(RINGS, policies, { ...ORDER, kid, force, now })

  it('lets a key sign now once RPs are sure to know it, and sooner only by force', () => {
    const details = { kid: 'k2', knownAt: 150 }
    assert.throws(() => promote('k2', 149), { code: 'key_too_new', details })
    for (const { event } of [promote('k2', 150), promote('k2', 149, true)]) {
      assert.ok(event.type === 'promote' && event.activatesAt === event.at)
    }
  })

  it('is refused for a key that does not wait, even by force', () => {
    const details = { kid: 'k1', phase: 'active' }
    assert.throws(() => promote('k1', 400, true), { code: 'not_pre_active', details })
  })
})

describe('an order to revoke', () => {
  it('records the place of the key, for the time when its record does not open', () => {
    const action = orderRevocation(RINGS, policies, { ...ORDER, kid: 'k1', now: 400 })
    assert.ok(action?.event.type === 'revoke')
    const place = { kid: 'k1', generation: 1, createdAt: 0, activatesAt: 0 }
    assert.deepEqual([action.event.at, action.event.place], [400, place])
  })

  it('does nothing to a key that is revoked already', () => {
    const rings = facts(RINGS.keys, [revoked('k1', 300)])
    assert.equal(orderRevocation(rings, policies, { ...ORDER, kid: 'k1', now: 400 }), undefined)
  })

  it('by date revokes keys made strictly before, and names those that were not revoked yet', () => {
    const order = { ...ORDER, ring, now: 400 }
    const kids = (createdBefore: number, before = RINGS) => {
      const action = orderRevocationBefore(before, policies, { ...order, createdBefore })
      return newlyRevoked({ before, after: assume(before, action) }, policies, 400)
    }
    assert.deepEqual(kids(50), ['k1'])
    assert.deepEqual(kids(51), ['k1', 'k2'])
    assert.deepEqual(kids(51, facts(RINGS.keys, [revoked('k1', 300)])), ['k2'])
    assert.throws(() => kids(401), { code: 'revocation_in_future' })
  })
})

describe('a kid that an operator typed', () => {
  const kids = ['abc', 'abd', 'x', 'xy']
  for (const [named, found] of [
    ['abc', 'abc'],
    ['x', 'x'],
    ['xy', 'xy'],
  ] as const) {
    it(`${named} is ${found}`, () => assert.equal(findKid(named, kids), found))
  }
  for (const [named, code] of [
    ['ab', 'key_ambiguous'],
    ['abcd', 'key_not_found'],
    ['', 'key_not_named'],
  ] as const) {
    it(`${JSON.stringify(named)} is refused as ${code}`, () => {
      assert.throws(() => findKid(named, kids), { code })
    })
  }
})
