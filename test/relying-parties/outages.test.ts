import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type RpModel, secondsOf } from '../../src/relying-parties/model.ts'
import { RP_MODELS } from '../../src/relying-parties/models.ts'
import { outageCosts } from '../../src/relying-parties/outages.ts'
import { startRelyingParty } from '../../src/relying-parties/relying-party.ts'

const MINUTE = 60
const MAX_AGE = 900

/**
 * An RP that fetched so many seconds before the JWKS goes away, with a token of a known key each second:
 * the seconds of the outage, and after it, in which it is refused.
 */
function refusals(
  model: RpModel,
  { age, length, unknownKidAt }: { age: number; length: number; unknownKidAt?: number },
): readonly number[] {
  let isDown = false
  const rp = startRelyingParty(model, () =>
    isDown ? undefined : { kids: new Set(['known']), maxAge: MAX_AGE },
  )
  assert.ok(rp.verify('known', -age))
  const refused: number[] = []
  for (let at = 0; at < length + 10 * MINUTE; at++) {
    isDown = at < length
    if (at === unknownKidAt) rp.verify('invented', at)
    if (!rp.verify('known', at)) refused.push(at)
  }
  return refused
}

/** Fetched at the worst instant: what it has ends as the outage begins. */
function worstAge(model: RpModel): number {
  const lifetime = secondsOf(model.lifetime, MAX_AGE)
  return lifetime === Infinity ? MINUTE : Math.max(1, lifetime)
}

describe('what an outage of the JWKS is said to cost', () => {
  for (const length of [MINUTE, 10 * MINUTE, 100 * MINUTE]) {
    const costs = outageCosts(length, { jwksMaxAge: MAX_AGE })
    it(`for ${length} s is what comes of it, second by second, at every model`, () => {
      for (const model of RP_MODELS) {
        const cost = costs.find((each) => each.model === model.name)
        assert.ok(cost, model.name)
        const worst = refusals(model, { age: worstAge(model), length })
        const chance = model.limit === undefined ? 0 : MINUTE
        const off = cost.refusesFor - worst.length
        assert.ok(
          off >= 0 && off <= chance,
          `${model.name}: ${worst.length} s, not ${cost.refusesFor}`,
        )
        const best = refusals(model, { age: 0, length })
        assert.equal(best[0] ?? null, cost.allFrom, model.name)
      }
    })
  }

  it('names those at which an unknown kid ends everything', () => {
    const length = 10 * MINUTE
    const costs = outageCosts(length, { jwksMaxAge: MAX_AGE })
    for (const model of RP_MODELS) {
      const told = costs.find((each) => each.model === model.name)?.endsByUnknownKid
      // Fetched long enough ago that a cool-down is over, and the set is not.
      const age = 61
      const plain = refusals(model, { age, length })
      const flooded = refusals(model, { age, length, unknownKidAt: 5 })
      assert.equal(flooded.length > plain.length, told, model.name)
    }
  })

  it('puts first what hurts most, and tells who waits for the JWKS for half a second only', () => {
    const costs = outageCosts(7 * MINUTE, { jwksMaxAge: MAX_AGE })
    assert.deepEqual(
      costs.slice(0, 2).map(({ model }) => model),
      ['perkid-10m-limited', 'perkid-1h-limited'],
    )
    assert.equal(costs.at(-1)?.refusesFor, 0)
    const waits = (example: string) =>
      costs.find(({ standsFor }) => standsFor.split(', ').includes(example))
    assert.equal(waits('Spring Security')?.waitsFor, 0.5)
    assert.equal(waits('Nimbus JWKSourceBuilder')?.waitsFor, 0.5)
    assert.equal(waits('go-oidc v3')?.waitsFor, null)
    assert.equal(waits('Spring Security')?.allFrom, 5 * MINUTE)
    assert.equal(waits('PyJWT')?.allFrom, 5 * MINUTE)
    assert.equal(waits('Micronaut Security')?.allFrom, MINUTE)
    assert.equal(waits('go-oidc v3')?.refusesFor, 0)
  })
})
