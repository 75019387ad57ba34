import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import type { RpModel } from '../../src/relying-parties/model.ts'
import { RP_MODELS } from '../../src/relying-parties/models.ts'
import { startRelyingParty } from '../../src/relying-parties/relying-party.ts'
import { flood, type Jwks, outage, revocation, type Start } from './lab.ts'
import { LIBRARIES, measured, setClocks } from './libraries.ts'

/** The libraries that npm offers are what they are measured to be, here and now, and so are their models. */

/** Model, and how long an outage and a revocation have to last to show what it does. */
const SCRIPTS: Readonly<Record<string, readonly [model: string, length: number]>> = {
  jose: ['ttl10m-kid30s', 700],
  'openid-client': ['ttl5m-kid1m', 400],
  'openid-client 5': ['forever-kid1m', 700],
  'express-oauth2-jwt-bearer': ['ttl10m-kid30s', 700],
  'jwks-rsa': ['perkid-10m', 700],
  'jwks-rsa with rateLimit': ['perkid-10m-limited', 700],
  'passport-jwt': ['perkid-10m', 700],
  'get-jwks': ['perkid-1m', 700],
  'aws-jwt-verify': ['forever-kid10s', 700],
  '@okta/jwt-verifier': ['perkid-1h-limited', 3700],
  hono: ['none', 100],
}

/** A time ends just with its last second at some, and just before it at others. */
const ROUNDING = 1

function modelled(model: RpModel): Start {
  return (jwks: Jwks) =>
    startRelyingParty(model, () => {
      jwks.requests += 1
      return jwks.isDown ? undefined : { kids: new Set(jwks.shown), maxAge: jwks.maxAge }
    })
}

before(setClocks)

describe('each library has a model and a script', () => {
  it('that are there', () => assert.deepEqual(Object.keys(SCRIPTS), Object.keys(LIBRARIES)))
})

for (const [name, [modelName, length]] of Object.entries(SCRIPTS)) {
  const library = LIBRARIES[name]
  const model = RP_MODELS.find((each) => each.name === modelName)
  assert.ok(library && model)
  const both = async <T>(script: (start: Start) => Promise<T>) => ({
    real: await measured(library, script),
    told: await script(modelled(model)),
  })

  describe(`the model of ${name}`, () => {
    it('fetches for unknown kids as it does, and knows a new key no sooner', async () => {
      const { real, told } = await both((start) => flood(start, 100))
      assert.equal(told.fetches, real.fetches)
      assert.ok(told.newKey >= real.newKey - ROUNDING, `${told.newKey} s, really ${real.newKey} s`)
      assert.ok(told.newKey <= real.newKey + ROUNDING, `${told.newKey} s, really ${real.newKey} s`)
    })

    for (const invented of [false, true]) {
      const kids = invented ? ' and somebody invents kids' : ''
      it(`refuses what it does while the JWKS is down${kids}, from then and for as long`, async () => {
        // No look falls on the very end of a time.
        const step = 7
        const { real, told } = await both((start) => outage(start, { length, step, invented }))
        assert.equal(told.refusesFrom, real.refusesFrom)
        // A limit of so many in a minute may begin its minutes when it likes.
        const chance = model.limit === undefined ? 0 : 60
        const longer = Math.abs(told.refusesFor - real.refusesFor)
        assert.ok(longer <= chance, `${told.refusesFor} s, really ${real.refusesFor} s`)
      })
    }

    for (const step of [7, 67]) {
      it(`believes a revoked key as long as it does, asked each ${step} s`, async () => {
        const script = { freshAt: 300, step, until: length }
        const { real, told } = await both((start) => revocation(start, script))
        assert.equal(told, real)
      })
    }
  })
}
