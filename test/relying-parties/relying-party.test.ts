import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createCache } from '../../src/relying-parties/delivery.ts'
import type { RpModel } from '../../src/relying-parties/model.ts'
import { RP_MODELS } from '../../src/relying-parties/models.ts'
import { startRelyingParty } from '../../src/relying-parties/relying-party.ts'

/** The JWKS shows `old` always and `new` from 1000 on; max-age is 900. */
const NEW_AT = 1000
const jwksAt = (at: number) => ({
  kids: new Set(at >= NEW_AT ? ['old', 'new'] : ['old']),
  maxAge: 900,
})

function modelNamed(name: string): RpModel {
  const model = RP_MODELS.find((each) => each.name === name)
  assert.ok(model, name)
  return model
}

/** An RP that fetched for the last time just before the new key, and what becomes of tokens. */
const tokens: readonly [model: string, at: number, accepted: boolean][] = [
  ['none', NEW_AT, true],
  ['ttl-1m', 999 + 59, false],
  ['ttl-1m', 999 + 60, true],
  ['ttl-5m', 999 + 299, false],
  ['ttl-5m', 999 + 300, true],
  ['ttl-5m-timer', 999 + 299, false],
  ['ttl-5m-timer', 999 + 300, true],
  ['ttl-10m', 999 + 599, false],
  ['ttl-10m', 999 + 600, true],
  ['ttl-20m-timer', 999 + 1199, false],
  ['ttl-20m-timer', 999 + 1200, true],
  ['ttl-1h', 999 + 3599, false],
  ['ttl-1h', 999 + 3600, true],
  ['ttl-2h', 999 + 7199, false],
  ['ttl-2h', 999 + 7200, true],
  ['ttl-6h', 999 + 21599, false],
  ['ttl-6h', 999 + 21600, true],
  ['ttl-12h', 999 + 43199, false],
  ['ttl-12h', 999 + 43200, true],
  ['ttl-24h', 999 + 86399, false],
  ['ttl-24h', 999 + 86400, true],
  ['maxage', 999 + 899, false],
  ['maxage', 999 + 900, true],
  ['maxage-timer', 999 + 899, false],
  ['maxage-timer', 999 + 900, true],
  ['maxage-floor15m', 999 + 899, false],
  ['maxage-floor15m', 999 + 900, true],
  ['maxage-floor15m-slack15m', 999 + 1799, false],
  ['maxage-floor15m-slack15m', 999 + 1800, true],
  ['ttl5m-kid0', NEW_AT, true],
  ['ttl5m-kid0-stale', NEW_AT, true],
  ['ttl5m-kid30s', 999 + 29, false],
  ['ttl5m-kid30s', 999 + 30, true],
  ['ttl5m-kid30s-twice', 999 + 29, false],
  ['ttl5m-kid30s-twice', 999 + 30, true],
  ['ttl5m-kid1m', 999 + 59, false],
  ['ttl5m-kid1m', 999 + 60, true],
  ['ttl10m-kid0', NEW_AT, true],
  ['ttl10m-kid30s', 999 + 29, false],
  ['ttl10m-kid30s', 999 + 30, true],
  ['ttl1h-kid1m', 999 + 59, false],
  ['ttl1h-kid1m', 999 + 60, true],
  ['ttl1h-kid5m', 999 + 299, false],
  ['ttl1h-kid5m', 999 + 300, true],
  ['ttl1h-kid5m-timer', 999 + 299, false],
  ['ttl1h-kid5m-timer', 999 + 300, true],
  ['ttl1h-behind', 999 + 3599, false],
  ['ttl1h-behind', 999 + 3600, true],
  ['ttl24h-kid0', NEW_AT, true],
  ['ttl24h-kid10s', 999 + 9, false],
  ['ttl24h-kid10s', 999 + 10, true],
  ['maxage-kid0', NEW_AT, true],
  ['maxage-kid0-behind', NEW_AT, true],
  ['maxage-kid30m', 999 + 899, false],
  ['maxage-kid30m', 999 + 900, true],
  ['forever-kid0', NEW_AT, true],
  ['forever-kid10s', 999 + 9, false],
  ['forever-kid10s', 999 + 10, true],
  ['forever-kid1m', 999 + 59, false],
  ['forever-kid1m', 999 + 60, true],
  ['forever-kid5m', 999 + 299, false],
  ['forever-kid5m', 999 + 300, true],
  ['forever-kid10m', 999 + 599, false],
  ['forever-kid10m', 999 + 600, true],
  ['forever-kid10m-free', 999 + 599, false],
  ['forever-kid10m-free', 999 + 600, true],
  ['maxage-then-kid', 999 + 869, false],
  ['maxage-then-kid', 999 + 870, true],
  ['perkid-1m', NEW_AT, true],
  ['perkid-10m', NEW_AT, true],
  ['perkid-10m-limited', NEW_AT, true],
  ['perkid-1h-limited', NEW_AT, true],
  ['perkid-over-forever', NEW_AT, true],
  // The token that finds the set old is judged by it; only the next has the new one.
  ['lazy-12h36m', 999 + 45_360, false],
  ['lazy-12h36m-no-old', 999 + 45_360, false],
  ['lazy-12h36m-no-kid', 999 + 45_360, false],
  ['lazy-16m', 999 + 945, false],
  ['ttl12h36m-kid5m', 999 + 299, false],
  ['ttl12h36m-kid5m', 999 + 300, true],
  ['ttl12h-behind', 999 + 43199, false],
  ['ttl12h-behind', 999 + 43200, true],
  ['ttl24h-behind', 999 + 86399, false],
  ['ttl24h-behind', 999 + 86400, true],
  ['flag-poll-60s', 5000, false],
  ['once', 10 ** 9, false],
  ['static', 10 ** 9, false],
]

describe('an RP that fetched just before a key was published', () => {
  for (const [name, at, accepted] of tokens) {
    const verb = accepted ? 'accepts' : 'refuses'
    it(`of model ${name} ${verb} its token ${at - NEW_AT + 1} s later`, () => {
      const rp = startRelyingParty(modelNamed(name), jwksAt)
      rp.load(999)
      assert.equal(rp.verify('new', at), accepted)
    })
  }

  it('is among every model there is', () => {
    assert.deepEqual(
      [...new Set(tokens.map(([name]) => name))],
      RP_MODELS.map((m) => m.name),
    )
  })
})

describe('an RP', () => {
  it('that refreshes behind its answers knows the key at the next token', () => {
    const rp = startRelyingParty(modelNamed('lazy-12h36m'), jwksAt)
    rp.load(999)
    assert.equal(rp.verify('old', 999 + 45_360), true)
    assert.equal(rp.verify('new', 999 + 45_361), true)
  })

  it('that waits for its poll knows the key after it', () => {
    const rp = startRelyingParty(modelNamed('flag-poll-60s'), jwksAt)
    assert.equal(rp.verify('old', 999), true)
    const answers = [5000, 5059, 5060].map((at) => rp.verify('new', at))
    assert.deepEqual(answers, [false, false, true])
  })

  it('with a limit refuses a good kid once invented ones have used it up', () => {
    const rp = startRelyingParty(modelNamed('perkid-10m-limited'), jwksAt)
    for (let i = 0; i < 10; i++) assert.equal(rp.verify(`invented ${i}`, 2000), false)
    assert.equal(rp.verify('new', 2001), false)
    assert.equal(rp.verify('new', 2060), true)
  })

  it('that keeps keys of a set believes them for ever, until it meets an unknown kid', () => {
    const shown = (at: number) => ({ kids: new Set(at < 100 ? ['a', 'b'] : ['b', 'c']), maxAge: 1 })
    const rp = startRelyingParty(modelNamed('perkid-over-forever'), shown)
    assert.equal(rp.verify('a', 0), true)
    assert.deepEqual([rp.verify('b', 10 ** 6), rp.verify('a', 10 ** 6)], [true, true])
    assert.equal(rp.verify('c', 10 ** 6), true)
    assert.equal(rp.verify('a', 10 ** 6 + 36_000), false)
  })

  it('forgets a key where a load balancer goes back in time', () => {
    const answers = [jwksAt(NEW_AT), jwksAt(NEW_AT - 1), jwksAt(NEW_AT)]
    const rp = startRelyingParty(modelNamed('ttl5m-kid0'), () => answers.shift() ?? assert.fail())
    assert.deepEqual(
      [2000, 2300, 2301].map((at) => rp.verify('new', at)),
      [true, false, true],
    )
  })
})

describe('an HTTP cache', () => {
  const rules = { staleWhileRevalidate: 60, staleIfError: 1000 }
  const asked = (...instants: number[]) => {
    const up = (at: number) => at < 2000 || at >= 3500
    const cache = createCache(
      (at) => (up(at) ? { at, kids: new Set(), maxAge: 900 } : undefined),
      rules,
    )
    return instants.map((at) => cache(at)?.at)
  }

  it('keeps an answer for max-age', () => assert.deepEqual(asked(0, 899, 960), [0, 0, 960]))

  it('serves it stale once while it fetches another', () => {
    assert.deepEqual(asked(0, 959, 959), [0, 0, 959])
  })

  it('serves it stale while nothing answers, and then nothing', () => {
    assert.deepEqual(asked(1500, 2400, 3399, 3400, 3500), [1500, 1500, 1500, undefined, 3500])
  })
})
