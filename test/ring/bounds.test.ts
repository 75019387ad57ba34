import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { PolicyUnsafe } from '../../src/errors.ts'
import {
  brokenBoundsOf,
  brokenPublishedKeys,
  isRefreshOftenEnough,
  leastCryptoperiod,
  leastPublished,
  mostPublished,
  safePolicies,
} from '../../src/ring/bounds.ts'
import type { RingPolicy } from '../../src/ring/policy.ts'
import { POLICY } from '../support/rings.ts'

/** maxRingAge 40 + jwksMaxAge 50 + 2 x 5: propagation from 100. 190 + 2 x 5: retention from 200. */
const AROUND = { jwksMaxAge: 50, longest: { name: 'tokens', lifetime: 190 } }

function broken(policy: Partial<RingPolicy>, around = AROUND) {
  return brokenBoundsOf({ ...POLICY, ...policy }, around).map(
    ({ bound, value, limit }) => `${bound} ${value} ${limit}`,
  )
}

describe('the bounds of a ring', () => {
  const table: readonly [string, Partial<RingPolicy>, readonly string[]][] = [
    ['hold to the second', { propagation: 100, retention: 200, cryptoperiod: 101 }, []],
    [
      'break where RPs may hold a JWKS without the key',
      { propagation: 99 },
      ['propagation 99 100'],
    ],
    ['break where a key leaves before its tokens', { retention: 199 }, ['retention 199 200']],
    [
      'break where a key retires before the next may sign',
      { cryptoperiod: 100 },
      ['cryptoperiod 100 100'],
    ],
    ['need no cache where the ring is not published', { published: false, propagation: 50 }, []],
    [
      'need all nodes where the ring is not published',
      { published: false, propagation: 49 },
      ['propagation 49 50'],
    ],
    ['grow with the age that a ring may have', { maxRingAge: 41 }, ['propagation 100 101']],
    [
      'grow with the clock skew, twice',
      { clockSkew: 6 },
      ['propagation 100 102', 'retention 200 202'],
    ],
    [
      'are all told together',
      { propagation: 1, retention: 1, cryptoperiod: 1 },
      ['propagation 1 100', 'retention 1 200', 'cryptoperiod 1 1'],
    ],
  ]
  for (const [what, policy, expected] of table) {
    it(what, () => assert.deepEqual(broken(policy), expected))
  }

  it('add the tolerance after the expiry of a token to the retention', () => {
    const longest = { name: 'sessions', lifetime: 190, tolerance: 1 }
    assert.deepEqual(broken({}, { ...AROUND, longest }), ['retention 200 201'])
  })

  it('have messages with the problem and its numbers', () => {
    const [first] = brokenBoundsOf({ ...POLICY, propagation: 99 }, AROUND)
    assert.equal(
      first?.message,
      'a new key of ring sig/ES256 would sign after 99s, but relying parties may hold a JWKS ' +
        'without it for 100s (maxRingAge 40s + jwksMaxAge 50s + 2 x clockSkew 5s)',
    )
  })
})

describe('the number of published keys', () => {
  const table: readonly [Partial<RingPolicy>, { least: number; most: number }][] = [
    [{}, { least: 2, most: 3 }],
    [{ retention: 1000 }, { least: 3, most: 3 }],
    [{ retention: 1001 }, { least: 3, most: 4 }],
    [{ standby: false }, { least: 1, most: 2 }],
    [
      { standby: false, propagation: 900, retention: 101 },
      { least: 2, most: 3 },
    ],
  ]
  for (const [policy, { least, most }] of table) {
    it(`is ${least} to ${most} with ${JSON.stringify(policy)}`, () => {
      assert.equal(leastPublished({ ...POLICY, ...policy }), least)
      assert.equal(mostPublished({ ...POLICY, ...policy }), most)
    })
  }

  it('is bounded over all rings, and the least cryptoperiod keeps the bound', () => {
    const other = { ...POLICY, ring: 'sig/RS256', retention: 6001 }
    const found = brokenPublishedKeys([
      POLICY,
      other,
      { ...POLICY, ring: 'cookie', published: false },
    ])
    assert.deepEqual([found?.ring, found?.value, found?.limit], ['sig/RS256', 12, 10])
    const cryptoperiod = leastCryptoperiod(other, 7)
    assert.equal(mostPublished({ ...other, cryptoperiod }), 7)
    assert.equal(mostPublished({ ...other, cryptoperiod: cryptoperiod - 1 }), 8)
    assert.equal(brokenPublishedKeys([POLICY, { ...other, cryptoperiod }]), undefined)
  })

  it('is met by no cryptoperiod if a standby and an active key are too many', () => {
    assert.equal(leastCryptoperiod(POLICY, 2), Infinity)
  })
})

it('two refreshes must fit into the age that a ring may have', () => {
  assert.equal(isRefreshOftenEnough(20, 40), true)
  assert.equal(isRefreshOftenEnough(21, 40), false)
})

describe('policies of a caller', () => {
  const otherwise = (ring: string) => ({ ...POLICY, ring, configured: false })

  it('that are safe are found by ring, with a fallback for every other ring', () => {
    const policies = safePolicies([POLICY], () => AROUND, otherwise)
    assert.equal(policies.policyFor(POLICY.ring), POLICY)
    assert.equal(policies.policyFor('sig/PS256').configured, false)
  })

  it('that are unsafe are refused with every broken bound', () => {
    const rings = [
      { ...POLICY, propagation: 99 },
      { ...POLICY, ring: 'sig/RS256', retention: 10_000 },
    ]
    assert.throws(
      () => safePolicies(rings, () => AROUND, otherwise),
      (error: unknown) => {
        assert.ok(error instanceof PolicyUnsafe)
        assert.equal(error.code, 'policy_unsafe')
        assert.deepEqual(
          error.broken.map(({ bound }) => bound),
          ['propagation', 'published-keys'],
        )
        assert.match(error.message, /propagation: a new key of ring sig\/ES256/)
        return true
      },
    )
  })
})
