import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { livesOf } from '../../src/import/duende-life.ts'
import { duendeLives } from '../../src/moving/export-duende.ts'
import { ringStates } from '../../src/ring/lifecycle.ts'
import { key, POLICY } from '../support/rings.ts'

const NOW = 1_800_000_000
const DAY = 86_400
const times = { propagation: 14 * DAY, rotation: 90 * DAY, retention: 14 * DAY }
const policy = {
  ...POLICY,
  ...{ cryptoperiod: 60 * DAY, propagation: 14 * DAY, retention: 14 * DAY },
}
const ring = (activations: readonly number[]) =>
  activations.map((activatesAt, at) =>
    key(at + 1, { activatesAt, createdAt: activatesAt - 40 * DAY, retention: 14 * DAY }),
  )

/** What IdentityServer would do with the keys at an instant. */
function phasesThere(keys: ReturnType<typeof ring>, now: number, exportedAt = NOW) {
  const states = ringStates({ keys, events: [] }, policy, exportedAt)
  const lives = duendeLives(states, policy, times)
  const aged = [...lives].map(([kid, life]) => ({
    kid,
    algorithm: 'ES256',
    isX509: false,
    ...life,
  }))
  return [...livesOf(aged, times, now)].map(([kid, { phaseHint }]) => `${kid} ${phaseHint}`)
}

describe('keys that go back to IdentityServer', () => {
  const keys = ring([NOW - 65 * DAY, NOW - 5 * DAY, NOW + 55 * DAY])

  it('do there what they do here', () => {
    assert.deepEqual(phasesThere(keys, NOW), ['k1 old', 'k2 active', 'k3 next'])
  })

  it('switch and leave when they would have', () => {
    assert.deepEqual(phasesThere(keys, NOW + 55 * DAY - 2), ['k1 disabled', 'k2 active', 'k3 next'])
    assert.deepEqual(phasesThere(keys, NOW + 55 * DAY), ['k1 disabled', 'k2 old', 'k3 active'])
    assert.deepEqual(phasesThere(keys, NOW + 9 * DAY - 1)[0], 'k1 old')
    assert.deepEqual(phasesThere(keys, NOW + 9 * DAY)[0], 'k1 disabled')
  })

  it('sign on alone where no next key is there', () => {
    assert.deepEqual(phasesThere(ring([NOW - 5 * DAY]), NOW), ['k1 active'])
    assert.deepEqual(phasesThere(ring([NOW - 5 * DAY]), NOW + 55 * DAY), ['k1 old'])
  })
})
