import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { withoutVectors } from '../../lab/vectors.ts'
import { readDuendeFiles } from '../../src/import/duende.ts'
import { adopt } from '../../src/moving/adopt.ts'
import { nextEvents, presentOf } from '../../src/moving/operate.ts'
import { NO_RINGS } from '../../src/ring/loaded-rings.ts'
import type { RingPolicy, RotationPolicies } from '../../src/ring/policy.ts'
import { filesOf, lives, optionsOf, seconds } from '../import/duende-vectors.ts'
import { POLICY } from '../support/rings.ts'

/** Of each key store that IdentityServer made: does the next switch come when that would have made it? */

const DAY = 86_400
const HOUR = 3600

/** @param algorithms those of the keys that move in; each further ring would be forecast for nothing */
function policiesFor(cryptoperiod: number, algorithms: readonly string[]): RotationPolicies {
  const of = (algorithm: string): RingPolicy => ({
    ...{ ...POLICY, ring: `sig/${algorithm}`, algorithm, cryptoperiod, propagation: DAY },
    ...{ retention: 14 * DAY, archive: 400 * DAY, maxRingAge: HOUR, clockSkew: 60 },
  })
  return { rings: algorithms.map(of), policyFor: (ring) => of(ring.replace('sig/', '')) }
}

describe('a key store of IdentityServer that moves in', { skip: withoutVectors }, () => {
  for (const entry of lives) {
    it(`switches when IdentityServer would have, whatever the cryptoperiod: ${entry.name}`, async () => {
      const now = seconds(entry.now)
      const imported = await readDuendeFiles(filesOf(entry), await optionsOf(entry))
      const present = await presentOf(NO_RINGS)
      const expected = Object.entries(entry.measured.nextSwitch).map(
        ([algorithm, { at }]) => `sig/${algorithm} ${Math.ceil(Date.parse(at) / 1000)}`,
      )
      assert.ok(expected.length > 0)
      const algorithms = [...new Set(entry.keys.map(({ alg }) => alg))]
      for (const cryptoperiod of [
        entry.options?.RotationInterval ?? 90 * DAY,
        2 * DAY,
        400 * DAY,
      ]) {
        const policies = policiesFor(cryptoperiod, algorithms)
        const decided = adopt(imported, present, { now, policies, actor: 'test', reason: 'test' })
        const found = nextEvents(decided, policies, now).flatMap(({ ring, event, at }) =>
          event === 'switch' ? `${ring} ${at}` : [],
        )
        assert.deepEqual(found.toSorted(), expected.toSorted(), `${cryptoperiod / DAY} d`)
      }
    })
  }
})
