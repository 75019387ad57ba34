import assert from 'node:assert/strict'
import { test } from 'node:test'
import { longestToken, rotationPolicies } from '../../src/config/policies.ts'
import { load } from './sources.ts'

const DAY = 86_400

test('the default rings have the default policies', (t) => {
  const { rings } = rotationPolicies(load(t, ''))
  const shared = { configured: true, standby: true, maxRingAge: 3600, clockSkew: 60 }
  const signing = {
    ...shared,
    published: true,
    cryptoperiod: 90 * DAY,
    propagation: 14 * DAY,
    retention: 14 * DAY,
    archive: 400 * DAY,
  }
  assert.deepEqual(rings, [
    { ring: 'sig/RS256', algorithm: 'RS256', ...signing },
    { ring: 'sig/ES256', algorithm: 'ES256', ...signing },
    {
      ...shared,
      ring: 'cookie',
      algorithm: 'HS256',
      published: false,
      cryptoperiod: 30 * DAY,
      propagation: 14 * DAY,
      retention: 15 * DAY,
      archive: 0,
    },
  ])
})

test('a ring has its overrides, in the order of the configuration', (t) => {
  const text = `
rotation:
  standby: false
  rings:
    cookie: {}
    sig/ML-DSA-44: { standby: true, archive: 0s, retention: 20d }`
  const { rings, policyFor } = rotationPolicies(load(t, text))
  assert.deepEqual(
    rings.map((policy) => policy.ring),
    ['cookie', 'sig/ML-DSA-44'],
  )
  const policy = policyFor('sig/ML-DSA-44')
  assert.equal(policy, rings[1])
  assert.equal(policy.algorithm, 'ML-DSA-44')
  assert.equal(policy.standby, true)
  assert.equal(policy.archive, 0)
  assert.equal(policy.retention, 20 * DAY)
  assert.equal(policyFor('cookie').standby, false)
})

test('a ring that only the store has is kept and published, not turned', (t) => {
  const { policyFor } = rotationPolicies(
    load(t, 'rotation: { rings: { sig/RS256: { standby: false } } }'),
  )
  const policy = policyFor('sig/ES256')
  assert.equal(policy.configured, false)
  assert.equal(policy.published, true)
  assert.equal(policy.algorithm, 'ES256')
  assert.equal(policy.standby, true)
  assert.equal(policyFor('enc/RSA-OAEP').published, false)
})

test('automatic retention exceeds the longest token by a day, and for cookies the session', (t) => {
  const text = `
tokens: { session: 30d }
resources:
  - { identifier: urn:a, scopes: [], tokenLifetime: 20d }
  - { identifier: urn:b, scopes: [], tokenLifetime: 50d, tokenFormat: opaque }`
  const config = load(t, text)
  assert.deepEqual(longestToken(config), {
    name: 'resources.0.tokenLifetime',
    lifetime: 20 * DAY,
  })
  const { policyFor } = rotationPolicies(config)
  assert.equal(policyFor('sig/RS256').retention, 21 * DAY)
  assert.equal(policyFor('cookie').retention, 31 * DAY)
})
