import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { violationsOf } from './sources.ts'

/** What the profile forbids the settings of a server. */

const API = (more: string) => `resources: [{ identifier: "urn:a", scopes: [], ${more} }]`

describe('profile: fapi2', () => {
  const allowed = [
    '',
    'tokens: { authorizationCode: 60s }',
    'tokens: { clockTolerance: 10s }',
    API('algorithm: ES256'),
    API('tokenFormat: opaque'),
    'rotation: { rings: { sig/PS256: {} } }',
  ]
  for (const settings of allowed) {
    it(`accepts ${settings || 'the defaults'}`, (t) => {
      assert.deepEqual(violationsOf(t, `profile: fapi2\n${settings}`), [])
    })
  }

  const refused: readonly (readonly [settings: string, path: string, fix: string])[] = [
    [
      'tokens: { authorizationCode: 61s }',
      'tokens.authorizationCode',
      'set tokens.authorizationCode to at most 1m',
    ],
    [
      'tokens: { refreshTokenRotation: always }',
      'tokens.refreshTokenRotation',
      'set tokens.refreshTokenRotation to never, or to auto',
    ],
    [
      'tokens: { clockTolerance: 9s }',
      'tokens.clockTolerance',
      'set tokens.clockTolerance to a value from 10s to 60s',
    ],
    [
      'tokens: { clockTolerance: 61s }',
      'tokens.clockTolerance',
      'set tokens.clockTolerance to a value from 10s to 60s',
    ],
    [
      API('algorithm: RS256'),
      'resources.0.algorithm',
      'set resources.0.algorithm to ES256, or tokenFormat to opaque',
    ],
    [
      API(''),
      'resources.0.algorithm',
      'set resources.0.algorithm to ES256, or tokenFormat to opaque',
    ],
    [
      'rotation: { rings: { sig/RS256: {}, sig/ES512: {} } }',
      'rotation.rings',
      'add sig/ES256: {} to rotation.rings',
    ],
    [
      'clients: [{ client_id: a, client_secret: a-secret-of-forty-characters-and-no-less, redirect_uris: ["https://a.example/"], id_token_signed_response_alg: ES256 }]',
      'clients.0.token_endpoint_auth_method',
      'set clients.0.token_endpoint_auth_method to private_key_jwt, and jwks_uri or jwks to its public keys',
    ],
  ]
  for (const [settings, path, fix] of refused) {
    it(`refuses ${settings}`, (t) => {
      const found = violationsOf(t, `profile: fapi2\n${settings}`)
      assert.deepEqual(
        found.map((violation) => [violation.path, violation.rule, violation.fix]),
        [[path, 'fapi2', fix]],
      )
      assert.deepEqual(violationsOf(t, settings), [])
    })
  }
})
