import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  earlySwitches,
  promotionPrice,
  revocationPrice,
  timeToReach,
} from '../../src/relying-parties/price.ts'

/** The worked numbers of the reference: 5 min ring age, 16 min in caches, 1 min skew, 1 min fetch. */
const CACHING = { maxRingAge: 300, jwksMaxAge: 900, staleWhileRevalidate: 60, clockSkew: 60 }
const MINUTE = 60
const HOUR = 3600

const namesIn = ({ examples }: { readonly examples: string }) => examples.split(', ')

/** What a key that was published `lead` seconds ago costs at the RPs an example stands for. */
function failsFor(example: string, lead: number): number | null | undefined {
  return promotionPrice(lead, CACHING).find((row) => namesIn(row).includes(example))?.failsFor
}

const promotions: readonly [string, number, number | null | undefined][] = [
  ['jwks-rsa', 0, 23 * MINUTE],
  ['go-oidc v3', 0, 23 * MINUTE],
  ['aws-jwt-verify', 0, 23 * MINUTE + 10],
  ['jose', 0, 23 * MINUTE + 30],
  ['openid-client', 0, 24 * MINUTE],
  ['Micronaut Security', 0, 24 * MINUTE],
  ['jose4j', 0, 23 * MINUTE],
  ['Apigee', 0, 28 * MINUTE],
  ['go-jwt-middleware v2', 0, 28 * MINUTE],
  ['Quarkus', 0, 33 * MINUTE],
  ['go-jwt-middleware v3', 0, 38 * MINUTE],
  ['SmallRye JWT', 0, 38 * MINUTE],
  ['lestrrat-go/jwx v3', 0, 38 * MINUTE],
  ['Kubernetes API server', 0, 38 * MINUTE - 30],
  ['Istio', 0, 43 * MINUTE],
  ['lestrrat-go/jwx v2', 0, 53 * MINUTE],
  ['google-auth for Java', 0, HOUR + 23 * MINUTE],
  ['AWS HTTP API authorizer', 0, 2 * HOUR + 23 * MINUTE],
  ['firebase-admin for Node.js', 0, 6 * HOUR + 23 * MINUTE],
  ['NGINX reference configuration', 0, 12 * HOUR + 23 * MINUTE],
  ['Duende DiscoveryCache', 0, 24 * HOUR + 23 * MINUTE],
  // From its first token on: it fetches behind it, and again after its cool-down.
  ['Kafka', 0, 24 * MINUTE],
  ['ASP.NET Core 9 and 10 (Microsoft.IdentityModel 8.1 and later)', 0, 29 * MINUTE],
  ['ASP.NET Core 9 and 10 (Microsoft.IdentityModel 8.1 and later)', 12 * HOUR, 6 * MINUTE],
  ['ASP.NET Core 9 and 10 (Microsoft.IdentityModel 8.1 and later)', 13 * HOUR, undefined],
  ['joserfc', 0, null],
  ['PostgREST', 0, null],
  ['go-oidc v3', 22 * MINUTE, MINUTE],
  ['go-oidc v3', 23 * MINUTE, undefined],
  ['Istio', 23 * MINUTE, 20 * MINUTE],
  ['PostgREST', 365 * 24 * HOUR, null],
  // It refuses the first tokens of every new key, early or not.
  ['joken_jwks', 0, undefined],
]

describe('the price of an early promotion', () => {
  for (const [example, lead, expected] of promotions) {
    const cost =
      expected === undefined ? 'nothing' : expected === null ? 'its operator' : `${expected} s`
    it(`of a key published for ${lead} s costs users of ${example} ${cost}`, () => {
      assert.equal(failsFor(example, lead), expected)
    })
  }

  it('is listed from the shortest to the longest, last what fetches never again', () => {
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
/** Ring age, HTTP caches and a fetch. */
const HIDDEN = 22 * MINUTE
/** The fresh key signs by the slowest clock, stamped by the fastest, and is fetched. */
const FRESH = PROPAGATION + 2 * MINUTE + MINUTE

const revocations: readonly [string, number | null, string][] = [
  ['KrakenD', HIDDEN, 'fetch'],
  ['jwks-rsa', HIDDEN + 10 * MINUTE, 'fetch'],
  ['@okta/jwt-verifier', HIDDEN + HOUR, 'fetch'],
  ['Apigee', HIDDEN + 5 * MINUTE, 'fetch'],
  ['Micronaut Security', HIDDEN + MINUTE, 'fetch'],
  ['jose4j', HIDDEN + 15 * MINUTE, 'fetch'],
  ['NGINX reference configuration', HIDDEN + 12 * HOUR, 'fetch'],
  ['Keycloak', HIDDEN + 24 * HOUR, 'fetch'],
  [
    'ASP.NET Core 9 and 10 (Microsoft.IdentityModel 8.1 and later)',
    HIDDEN + 13 * HOUR + 36 * MINUTE,
    'request',
  ],
  ['go-oidc v3', FRESH, 'new kid'],
  ['Quarkus', FRESH, 'new kid'],
  ['Kubernetes API server', FRESH + 10, 'new kid'],
  // Each key by itself, looked up in what it has just before that.
  ['jwks-rsa-java', FRESH + 10 * HOUR, 'new kid'],
  ['get-jwks', null, 'pause'],
  ['joserfc', null, 'restart'],
  ['PostgREST', null, 'operator'],
]

describe('after a revocation', () => {
  const price = revocationPrice({ ...CACHING, propagation: PROPAGATION })
  for (const [example, expected, endsBy] of revocations) {
    it(`users of ${example} go on trusting the key for ${expected ?? 'ever'} s at most`, () => {
      const row = price.find((each) => namesIn(each).includes(example))
      assert.deepEqual([row?.trustsFor, row?.endsBy], [expected, endsBy])
      assert.equal(row?.endsWithNewKid, endsBy === 'new kid')
    })
  }

  it('a second switch that comes sooner ends the trust of those who fetch for it', () => {
    const soon = revocationPrice({ ...CACHING, propagation: HOUR })
    const trust = (example: string) =>
      soon.find((each) => namesIn(each).includes(example))?.trustsFor
    assert.equal(trust('Keycloak'), HOUR + 3 * MINUTE)
    assert.equal(trust('Kafka'), HOUR + 3 * MINUTE)
    assert.equal(trust('NGINX reference configuration'), HIDDEN + 12 * HOUR)
    assert.equal(trust('jose'), HIDDEN + 10 * MINUTE)
  })
})

describe('the instants at which a key could sign before its time', () => {
  const DAY = 24 * HOUR
  const at = (lead: number, propagation = 14 * DAY) =>
    earlySwitches(lead, { ...CACHING, propagation }).map((each) => each.lead)
  // 23 min to reach all, 15 min of max-age but 30 s (Kubernetes), 24 h (DiscoveryCache).
  const [second, last] = [38 * MINUTE - 30, 24 * HOUR + 23 * MINUTE]

  it('are now, once it serves those that wait for a new kid, and once it costs nobody who fetches', () => {
    assert.deepEqual(at(0), [0, second, last])
  })

  it('are those still to come', () => {
    assert.deepEqual(at(5 * MINUTE), [5 * MINUTE, second, last])
    assert.deepEqual(at(second), [second, last])
    assert.deepEqual(at(25 * HOUR), [25 * HOUR])
    assert.deepEqual(at(14 * DAY), [])
  })

  it('are before the end of propagation, however short that is', () => {
    assert.deepEqual(at(0, HOUR), [0, second])
    assert.deepEqual(at(0, 10 * MINUTE), [0])
  })

  it('cost less and less, and in the end only those who never fetch again', () => {
    const switches = earlySwitches(0, { ...CACHING, propagation: 14 * DAY })
    const counts = switches.map(({ fails }) => fails.length)
    assert.deepEqual(
      counts,
      counts.toSorted((a, b) => b - a),
    )
    assert.deepEqual(
      switches.at(-1)?.fails.map(({ failsFor }) => failsFor),
      [null, null],
    )
    const names = (index: number) =>
      switches[index]?.fails.map((each) => each.examples).join() ?? ''
    for (const waiting of ['go-oidc', 'Quarkus', 'Kubernetes']) {
      assert.ok(names(0).includes(waiting) && !names(1).includes(waiting), waiting)
    }
  })
})
