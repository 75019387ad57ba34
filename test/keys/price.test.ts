import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  earlySwitches,
  promotionPrice,
  revocationPrice,
  timeToReach,
} from '../../src/keys/price.ts'

/** The worked numbers of the reference: 5 min ring age, 16 min in caches, 1 min skew, 1 min fetch. */
const CACHING = { maxRingAge: 300, jwksMaxAge: 900, staleWhileRevalidate: 60, clockSkew: 60 }
const MINUTE = 60
const HOUR = 3600

/** What a key that was published `lead` seconds ago costs at the RPs an example stands for. */
function failsFor(example: string, lead: number): number | null | undefined {
  return promotionPrice(lead, CACHING).find((row) => row.examples.includes(example))?.failsFor
}

const promotions: readonly [string, number, number | null | undefined][] = [
  ['node-jwks-rsa', 0, 23 * MINUTE],
  ['go-oidc v3', 0, 23 * MINUTE],
  ['jose', 0, 24 * MINUTE],
  ['jose4j', 0, 28 * MINUTE],
  ['Apigee', 0, 28 * MINUTE],
  ['Quarkus', 0, 33 * MINUTE],
  ['go-jwt-middleware', 0, 38 * MINUTE],
  ['Kubernetes', 0, 38 * MINUTE],
  ['Istio', 0, 43 * MINUTE],
  ['jwx', 0, 53 * MINUTE],
  ['google-auth for Java', 0, HOUR + 23 * MINUTE],
  ['AWS HTTP API', 0, 2 * HOUR + 23 * MINUTE],
  ['firebase-admin', 0, 6 * HOUR + 23 * MINUTE],
  ['NGINX', 0, 12 * HOUR + 23 * MINUTE],
  ['Microsoft.IdentityModel', 0, 12 * HOUR + 59 * MINUTE],
  ['PostgREST', 0, null],
  ['go-oidc v3', 22 * MINUTE, MINUTE],
  ['go-oidc v3', 23 * MINUTE, undefined],
  ['Istio', 23 * MINUTE, 20 * MINUTE],
  ['Microsoft.IdentityModel', 13 * HOUR, undefined],
  ['PostgREST', 365 * 24 * HOUR, null],
]

describe('the price of an early promotion', () => {
  for (const [example, lead, expected] of promotions) {
    const cost =
      expected === undefined ? 'nothing' : expected === null ? 'its operator' : `${expected} s`
    it(`of a key published for ${lead} s costs users of ${example} ${cost}`, () => {
      assert.equal(failsFor(example, lead), expected)
    })
  }

  it('is listed from the shortest to the longest, pinned keys last', () => {
    const times = promotionPrice(0, CACHING).map((row) => row.failsFor ?? Infinity)
    assert.deepEqual(
      times,
      [...times].sort((a, b) => a - b),
    )
    assert.equal(times.at(-1), Infinity)
  })

  it('grows with every second that a node or a cache may hide the key', () => {
    for (const name of Object.keys(CACHING) as (keyof typeof CACHING)[]) {
      const raised = { ...CACHING, [name]: CACHING[name] + 100 }
      assert.equal(timeToReach(raised) - timeToReach(CACHING), 100)
    }
  })
})

const PROPAGATION = 14 * 24 * HOUR
const HIDDEN = 21 * MINUTE

const revocations: readonly [string, number | null, boolean][] = [
  ['KrakenD', HIDDEN, false],
  ['node-jwks-rsa', HIDDEN + 10 * MINUTE, false],
  ['Apigee', HIDDEN + 5 * MINUTE, false],
  ['go-jwt-middleware', HIDDEN + 15 * MINUTE, false],
  ['NGINX', HIDDEN + 12 * HOUR, false],
  ['Keycloak', HIDDEN + 24 * HOUR, false],
  ['Microsoft.IdentityModel', HIDDEN + 13 * HOUR + 36 * MINUTE, false],
  ['go-oidc v3', PROPAGATION, true],
  ['jwks-rsa-java', PROPAGATION, true],
  ['PostgREST', null, false],
]

describe('after a revocation', () => {
  const price = revocationPrice({ ...CACHING, propagation: PROPAGATION })
  for (const [example, expected, endsWithNewKid] of revocations) {
    const until = endsWithNewKid ? 'until the fresh key signs' : `for ${expected ?? 'ever'} s`
    it(`users of ${example} go on trusting the key ${until} at most`, () => {
      const row = price.find(({ examples }) => examples.includes(example))
      assert.deepEqual([row?.trustsFor, row?.endsWithNewKid], [expected, endsWithNewKid])
    })
  }
})

describe('the instants at which a key could sign before its time', () => {
  const DAY = 24 * HOUR
  const at = (lead: number, propagation = 14 * DAY) =>
    earlySwitches(lead, { ...CACHING, propagation }).map((each) => each.lead)
  // 23 min to reach all, 15 min of max-age (Kubernetes), 12 h 36 min (Microsoft.IdentityModel).
  const [second, last] = [38 * MINUTE, 12 * HOUR + 59 * MINUTE]

  it('are now, once it serves those that wait for a new kid, and once it costs nobody who fetches', () => {
    assert.deepEqual(at(0), [0, second, last])
  })

  it('are those still to come', () => {
    assert.deepEqual(at(5 * MINUTE), [5 * MINUTE, second, last])
    assert.deepEqual(at(second), [second, last])
    assert.deepEqual(at(13 * HOUR), [13 * HOUR])
    assert.deepEqual(at(14 * DAY), [])
  })

  it('are before the end of propagation, however short that is', () => {
    assert.deepEqual(at(0, HOUR), [0, second])
    assert.deepEqual(at(0, 10 * MINUTE), [0])
  })

  it('cost less and less, and in the end only those who pin keys by hand', () => {
    const switches = earlySwitches(0, { ...CACHING, propagation: 14 * DAY })
    const counts = switches.map(({ fails }) => fails.length)
    assert.deepEqual(
      counts,
      counts.toSorted((a, b) => b - a),
    )
    assert.deepEqual(
      switches.at(-1)?.fails.map(({ failsFor }) => failsFor),
      [null],
    )
    const names = (index: number) =>
      switches[index]?.fails.map((each) => each.examples).join() ?? ''
    for (const waiting of ['go-oidc', 'Quarkus', 'Kubernetes']) {
      assert.ok(names(0).includes(waiting) && !names(1).includes(waiting), waiting)
    }
  })
})
