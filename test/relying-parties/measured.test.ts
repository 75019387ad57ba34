import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type RpModel, secondsOf } from '../../src/relying-parties/model.ts'
import { RP_MODELS } from '../../src/relying-parties/models.ts'
import { revocationPrice } from '../../src/relying-parties/price.ts'
import { startRelyingParty } from '../../src/relying-parties/relying-party.ts'
import { simulate } from '../../src/relying-parties/simulate.ts'
import { POLICY, policiesOf } from '../support/rings.ts'
import { flood, type Jwks, MAX_AGE, outage, revocation, type Start } from './lab.ts'

/**
 * What was measured at real libraries in Go, Java, Rust, Python and .NET, transcribed: the models have to
 * agree with it or to be stricter. Libraries that npm offers are measured in `libraries.test.ts`.
 */

const MINUTE = 60
const HOUR = 3600
/** They were asked about once a second. */
const GRAIN = 1

function modelNamed(name: string): RpModel {
  const model = RP_MODELS.find((each) => each.name === name)
  assert.ok(model, name)
  return model
}

function start(model: RpModel): Start {
  return (jwks: Jwks) =>
    startRelyingParty(model, () => {
      jwks.requests += 1
      return jwks.isDown ? undefined : { kids: new Set(jwks.shown), maxAge: jwks.maxAge }
    })
}

interface Measured {
  readonly library: string
  readonly model: string
  /** Seconds for which it keeps a set that nothing else replaces, at a max-age of 900. */
  readonly keeps: number
  /** Seconds between two looks at that; 1 unless told. */
  readonly grain?: number
  /** Fetches for 30 invented kids in 30 s, from the 13th second on. */
  readonly flood: number
  /** Seconds until a key is accepted that is published right behind them; absent where it was not noted. */
  readonly newKey?: number
  /** While the JWKS answers 503 for 7 minutes: seconds after the last fetch from which all is refused. */
  readonly down: number
  /** Seconds after which it gives up a JWKS that hangs; Infinity: it had not after 130. */
  readonly hang?: number
}

const NEVER = Infinity

const MEASURED: readonly Measured[] = [
  {
    library: 'go-oidc v3',
    model: 'forever-kid0',
    keeps: NEVER,
    flood: 30,
    newKey: 0,
    down: NEVER,
    hang: NEVER,
  },
  {
    library: 'cap (Vault)',
    model: 'forever-kid0',
    keeps: NEVER,
    flood: 30,
    newKey: 0,
    down: NEVER,
    hang: NEVER,
  },
  {
    library: 'zitadel',
    model: 'forever-kid0',
    keeps: NEVER,
    flood: 30,
    newKey: 0,
    down: NEVER,
    hang: NEVER,
  },
  {
    library: 'Authlib',
    model: 'forever-kid0',
    keeps: NEVER,
    flood: 30,
    newKey: 0,
    down: NEVER,
    hang: NEVER,
  },
  {
    library: 'Spring reactive',
    model: 'forever-kid0',
    keeps: NEVER,
    flood: 30,
    newKey: 0,
    down: NEVER,
    hang: NEVER,
  },
  {
    library: 'Spring',
    model: 'ttl5m-kid0',
    keeps: 300,
    flood: 30,
    newKey: 0,
    down: 300,
    hang: 0.5,
  },
  {
    library: 'pac4j',
    model: 'ttl5m-kid0-stale',
    keeps: 300,
    flood: 30,
    newKey: 0,
    down: NEVER,
    hang: 5,
  },
  {
    library: 'RemoteJWKSet',
    model: 'ttl5m-kid0-stale',
    keeps: 300,
    flood: 30,
    newKey: 0,
    down: NEVER,
    hang: 0.5,
  },
  {
    library: 'PyJWT 2.15',
    model: 'ttl5m-kid30s',
    keeps: 300,
    flood: 1,
    newKey: 17,
    down: 300,
    hang: 30,
  },
  {
    library: 'Nimbus builder',
    model: 'ttl5m-kid30s-twice',
    keeps: 300,
    flood: 3,
    newKey: 17.5,
    down: 300,
    hang: 0.5,
  },
  {
    library: 'keyfunc',
    model: 'ttl1h-kid5m-timer',
    keeps: 3600,
    flood: 1,
    newKey: 270,
    down: NEVER,
  },
  {
    library: 'jose4j',
    model: 'maxage-kid0',
    keeps: 900,
    flood: 30,
    newKey: 0,
    down: NEVER,
    hang: 81,
  },
  {
    library: 'smallrye-jwt',
    model: 'maxage-kid30m',
    keeps: 900,
    flood: 1,
    newKey: 870,
    down: NEVER,
  },
  { library: 'jwx 3.4', model: 'maxage-floor15m', keeps: 900, flood: 0, newKey: 857, down: NEVER },
  {
    library: 'Kubernetes',
    model: 'maxage-then-kid',
    keeps: NEVER,
    flood: 0,
    newKey: 827,
    down: NEVER,
  },
  {
    library: 'Quarkus',
    model: 'forever-kid10m-free',
    keeps: NEVER,
    flood: 1,
    newKey: 570,
    down: NEVER,
  },
  {
    library: 'jwt-authorizer',
    model: 'forever-kid10m',
    keeps: NEVER,
    flood: 0,
    newKey: 558,
    down: NEVER,
  },
  {
    library: 'jwks-rsa-java',
    model: 'perkid-over-forever',
    keeps: NEVER,
    flood: 8,
    newKey: 16,
    down: NEVER,
    hang: NEVER,
  },
  {
    library: 'go-jwt-middleware 2.3',
    model: 'ttl-5m',
    keeps: 300,
    flood: 0,
    newKey: 258,
    down: 300,
  },
  {
    library: 'Kafka',
    model: 'ttl1h-behind',
    keeps: 3600,
    flood: 30,
    newKey: 1,
    down: NEVER,
    hang: 20,
  },
  { library: 'Micronaut 4.15', model: 'ttl-1m', keeps: 60, flood: 0, newKey: 17, down: 60 },
  {
    library: 'oidc-jwt-validator',
    model: 'maxage-kid0-behind',
    keeps: 900,
    flood: 30,
    newKey: 0,
    down: NEVER,
    hang: NEVER,
  },
  { library: 'fastapi-oidc', model: 'ttl-1h', keeps: 3602, grain: 2, flood: 0, down: NEVER },
  { library: 'axum-jwt-auth', model: 'ttl-1h', keeps: 3600, flood: 0, down: NEVER },
  {
    library: 'openidconnect-rs',
    model: 'once',
    keeps: NEVER,
    flood: 0,
    newKey: NEVER,
    down: NEVER,
  },
  { library: 'joserfc', model: 'once', keeps: NEVER, flood: 0, newKey: NEVER, down: NEVER },
  {
    library: 'IdentityModel 8.19, 8.23',
    model: 'lazy-12h36m',
    keeps: 45_002,
    flood: 1,
    newKey: 271,
    down: NEVER,
  },
  {
    library: 'IdentityModel 7.7, 8.0',
    model: 'ttl12h36m-kid5m',
    keeps: 44_402,
    flood: 1,
    newKey: 269,
    down: NEVER,
    hang: 100,
  },
  {
    library: 'IdentityModel 6.10',
    model: 'ttl12h-behind',
    keeps: 43_502,
    grain: 302,
    flood: 0,
    newKey: 256,
    down: NEVER,
  },
  {
    library: 'IdentityModel 5.6',
    model: 'ttl24h-behind',
    keeps: 86_400,
    flood: 1,
    newKey: 17,
    down: NEVER,
    hang: 60,
  },
  {
    library: 'OpenIddict 7.8',
    model: 'lazy-12h36m-no-old',
    keeps: 45_002,
    flood: 1,
    newKey: 270,
    down: NEVER,
  },
  {
    library: 'DiscoveryCache',
    model: 'ttl-24h',
    keeps: 86_400,
    flood: 0,
    newKey: NEVER,
    down: NEVER,
  },
]

/** Longer than anything that was measured. */
const PATIENCE = 26 * HOUR

describe('the model of a library, done to what was done to the library,', () => {
  for (const { library, model: name, ...measured } of MEASURED) {
    const model = modelNamed(name)
    it(`fetches for unknown kids as ${library} does, and knows a new key no sooner`, async () => {
      const { fetches, newKey } = await flood(start(model), PATIENCE)
      assert.equal(fetches, measured.flood)
      // Until the set is replaced after all, in a time longer than anybody waited.
      const atLeast = Math.min(measured.newKey ?? 0, PATIENCE)
      const isNever = measured.newKey === NEVER && newKey > 23 * HOUR
      assert.ok(isNever || newKey >= atLeast - GRAIN, `${newKey} s`)
    })

    it(`refuses tokens no later than ${library} does while the JWKS is down`, async () => {
      const { refusesFrom } = await outage(start(model), { length: 7 * MINUTE, step: 1 })
      const isSame = measured.down === NEVER && refusesFrom === NEVER
      assert.ok(isSame || refusesFrom <= measured.down + GRAIN, `from ${refusesFrom} s on`)
    })

    it(`keeps a set as long as ${library} at least, and waits for the JWKS no longer`, () => {
      const lifetime = model.keeps === 'keys of a set' ? NEVER : secondsOf(model.lifetime, MAX_AGE)
      assert.ok(lifetime >= measured.keeps - (measured.grain ?? GRAIN))
      assert.ok((model.timeout ?? NEVER) <= (measured.hang ?? NEVER))
    })
  }
})

interface DotNet {
  readonly model: string
  /** Seconds for which a revoked key goes on being accepted once the set is replaced, in use. */
  readonly afterwards: number
  /** Nothing for 20 h, then a revoked key's tokens: seconds for which they are accepted; null: not once. */
  readonly afterIdle: number | null
  /** Nothing for 20 h, then a token of a key published 19 h ago: is it accepted, and is the next? */
  readonly newAfterIdle: readonly [boolean, boolean]
  /** Revoked at 0, second switch at 600 s: accepted to. */
  readonly secondSwitch?: number
  /** The same, and an invented kid every 5 min. */
  readonly invented?: number
  readonly firstOfUnknownKid: boolean
}

const DOT_NET: readonly DotNet[] = [
  {
    model: 'lazy-12h36m',
    afterwards: HOUR,
    afterIdle: HOUR,
    newAfterIdle: [false, true],
    secondSwitch: 4200,
    invented: 3840,
    firstOfUnknownKid: false,
  },
  {
    model: 'ttl12h36m-kid5m',
    afterwards: HOUR,
    afterIdle: null,
    newAfterIdle: [true, true],
    secondSwitch: 4080,
    invented: 3840,
    firstOfUnknownKid: true,
  },
  {
    model: 'ttl12h-behind',
    afterwards: 0,
    afterIdle: null,
    newAfterIdle: [true, true],
    firstOfUnknownKid: false,
  },
  {
    model: 'ttl24h-behind',
    afterwards: 0,
    afterIdle: 4 * HOUR,
    newAfterIdle: [false, true],
    firstOfUnknownKid: false,
  },
  {
    model: 'lazy-12h36m-no-old',
    afterwards: 0,
    afterIdle: 0,
    newAfterIdle: [false, true],
    secondSwitch: 600,
    invented: 300,
    firstOfUnknownKid: false,
  },
  {
    model: 'ttl-24h',
    afterwards: 0,
    afterIdle: 4 * HOUR,
    newAfterIdle: [false, false],
    firstOfUnknownKid: false,
  },
]

describe('the model of a cache in .NET', () => {
  const started = (name: string, shown: (at: number) => readonly string[]) =>
    startRelyingParty(modelNamed(name), (at) => ({ kids: new Set(shown(at)), maxAge: MAX_AGE }))
  const IDLE = 20 * HOUR

  for (const { model: name, ...measured } of DOT_NET) {
    it(`(${name}) goes on with a revoked key at least as long as the library, in use`, () => {
      const rp = started(name, (at) => (at < 1 ? ['revoked', 'other'] : ['other']))
      const lifetime = secondsOf(modelNamed(name).lifetime, MAX_AGE)
      let last = 0
      for (let at = 0; at < lifetime + 2 * HOUR; at += 7) {
        rp.verify('other', at)
        if (rp.verify('revoked', at)) last = at
      }
      assert.ok(last >= lifetime + measured.afterwards - 2 * 7, `${last} s`)
    })

    it(`(${name}) believes a revoked key after 20 idle hours where the library does`, () => {
      const rp = started(name, (at) => (at < 1 ? ['revoked', 'other'] : ['other']))
      assert.equal(rp.verify('revoked', 0), true)
      let last: number | null = null
      for (let at = IDLE; at < IDLE + 10 * HOUR; at += 1) if (rp.verify('revoked', at)) last = at
      const { afterIdle } = measured
      if (afterIdle === null) return assert.equal(last, null)
      assert.ok(last !== null && last - IDLE >= afterIdle - GRAIN, `${last}`)
    })

    it(`(${name}) knows a new key after 20 idle hours no sooner than the library`, () => {
      const rp = started(name, (at) => (at < HOUR ? ['old'] : ['old', 'new']))
      assert.equal(rp.verify('old', 0), true)
      const accepted = [rp.verify('new', IDLE), rp.verify('new', IDLE + 1)]
      assert.deepEqual(accepted, measured.newAfterIdle)
    })

    it(`(${name}) judges the first token of a kid that it does not know as the library does`, () => {
      const rp = started(name, (at) => (at < 1 ? ['old'] : ['old', 'new']))
      assert.equal(rp.verify('old', 0), true)
      assert.equal(rp.verify('new', HOUR), measured.firstOfUnknownKid)
    })

    it(`(${name}) goes on with a revoked key after the second switch at least as long`, async () => {
      const { secondSwitch = 0, invented = 0 } = measured
      const script = { freshAt: 600, step: 10, until: 6000 }
      const rp = start(modelNamed(name))
      const told = await revocation(rp, script)
      assert.ok(told >= secondSwitch - script.step, `${told} s`)
      // The first invented kid comes with 240 s in one run, with 300 s in another.
      const flooded = await revocation(rp, { ...script, invented: 300 })
      assert.ok(flooded >= invented - script.step, `${flooded} s with invented kids`)
    })
  }
})

/**
 * A policy with a propagation of 10 min, a max-age of 20 s, and tokens of 25 min; the keys that signed were
 * revoked in use. Until when each library accepted their tokens at most, in seconds; Infinity: to their end.
 */
const PROPAGATION = 10 * MINUTE
const CACHING = { maxRingAge: 20, jwksMaxAge: 20, staleWhileRevalidate: 5, clockSkew: 1 }
const TOKENS_END = 24 * MINUTE

const REVOKED: readonly (readonly [library: string, model: string, acceptedFor: number])[] = [
  ['go-oidc', 'forever-kid0', 607],
  ['Spring', 'ttl5m-kid0', 260],
  ['PyJWT', 'ttl5m-kid30s', 260],
  ['RemoteJWKSet', 'ttl5m-kid0-stale', 260],
  ['Nimbus builder', 'ttl5m-kid30s-twice', 232],
  ['Kubernetes', 'maxage-then-kid', 613],
  ['jose4j', 'maxage-kid0', 18],
  ['smallrye-jwt', 'maxage-kid30m', 18],
  ['oidc-jwt-validator', 'maxage-kid0-behind', 7],
  ['google-auth', 'none', 5],
  ['keyfunc', 'ttl1h-kid5m-timer', 608],
  ['Quarkus', 'forever-kid10m-free', 608],
  ['jwt-authorizer', 'forever-kid10m', 608],
  ['Kafka', 'ttl1h-behind', 606],
  ['go-jwt-middleware 2.3', 'ttl-5m', 262],
  ['jwks-rsa-java', 'perkid-over-forever', TOKENS_END],
  ['jwx 3.4', 'maxage-floor15m', 852],
  ['axum-jwt-auth', 'ttl-1h', TOKENS_END],
  ['joserfc', 'once', TOKENS_END],
  ['fastapi-oidc', 'ttl-1h', TOKENS_END],
  // The rest of its hour was measured by itself: 4200 s.
  ['IdentityModel 8.19, 8.23', 'lazy-12h36m', 4200],
  ['IdentityModel 7.7, 8.0', 'ttl12h36m-kid5m', 4080],
  ['IdentityModel 6.10', 'ttl12h-behind', 606],
  ['IdentityModel 5.6', 'ttl24h-behind', 606],
  ['OpenIddict 7.8', 'lazy-12h36m-no-old', 606],
  ['without RequestRefresh()', 'lazy-12h36m-no-kid', TOKENS_END],
  ['DiscoveryCache', 'ttl-24h', TOKENS_END],
]

describe('after a revocation', () => {
  const policy = { ...POLICY, ...CACHING, propagation: PROPAGATION, cryptoperiod: 4 * HOUR }
  const price = revocationPrice({ ...CACHING, propagation: PROPAGATION })
  const { models } = simulate({
    policies: policiesOf({ ...policy, retention: HOUR }),
    ...{ ...CACHING, refreshInterval: 5, tokenLifetime: 25 * MINUTE, nodes: 12 },
  })

  for (const [library, name, acceptedFor] of REVOKED) {
    it(`neither price nor simulation promises that ${library} stops sooner than it did`, () => {
      const row = price.find((each) => each.models.includes(name))
      assert.ok(row, name)
      assert.ok((row.trustsFor ?? NEVER) >= acceptedFor, `price: ${row.trustsFor} s`)
      const told = models.find(({ model }) => model === name)?.believesRevoked
      assert.ok(told !== undefined && (told ?? NEVER) >= acceptedFor, `simulation: ${told} s`)
    })
  }

  it('the price names what the trust of an RP that is not used depends on', () => {
    const row = price.find((each) => each.models.includes('lazy-12h36m'))
    assert.deepEqual([row?.endsBy, row?.goesOnFor], ['new kid', HOUR])
    const late = revocationPrice({ ...CACHING, propagation: 14 * 24 * HOUR })
    const lazy = late.find((each) => each.models.includes('lazy-12h36m'))
    assert.deepEqual(
      [lazy?.endsBy, lazy?.idleAfter, lazy?.goesOnFor],
      ['request', 12 * HOUR + 36 * MINUTE, HOUR],
    )
  })
})
