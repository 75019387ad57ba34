import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { describe, it } from 'node:test'
import { oneIssuer } from '../../lab/one-issuer.ts'
import { clientViolations } from '../../src/clients/validate.ts'
import { clientContext } from '../../src/config/client-context.ts'
import { loadConfig } from '../../src/config/load.ts'

/** Rules of the profile, checked before a client is stored. */

const CONTEXT = clientContext(oneIssuer(loadConfig({ env: {} })))

const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' })
const BANK = {
  client_id: 'bank',
  profile: 'fapi2',
  redirect_uris: ['https://bank.example/cb'],
  response_types: ['code'],
  token_endpoint_auth_method: 'private_key_jwt',
  jwks: { keys: [publicKey.export({ format: 'jwk' })] },
  id_token_signed_response_alg: 'ES256',
}
const SECRET = 'a-secret-of-forty-characters-and-no-less'
const secret = (method: string) => ({
  token_endpoint_auth_method: method,
  client_secret: SECRET,
  jwks: undefined,
})

function problems(changed: object, context = CONTEXT): readonly string[] {
  const given = Object.entries({ ...BANK, ...changed }).filter(([, value]) => value !== undefined)
  return clientViolations(Object.fromEntries(given), context).map(
    ({ path, rule }) => `${path} ${rule}`,
  )
}

const REFUSED: readonly (readonly [what: string, changed: object, problem: string])[] = [
  ['a secret', secret('client_secret_basic'), 'token_endpoint_auth_method fapi2'],
  ['a secret in the content', secret('client_secret_post'), 'token_endpoint_auth_method fapi2'],
  ['a secret that signs', secret('client_secret_jwt'), 'token_endpoint_auth_method fapi2'],
  [
    'no authentication',
    { token_endpoint_auth_method: 'none', jwks: undefined },
    'token_endpoint_auth_method fapi2',
  ],
  [
    'assertions by RS256',
    { token_endpoint_auth_signing_alg: 'RS256', jwks: { keys: [rsa] } },
    'token_endpoint_auth_signing_alg fapi2',
  ],
  ['a key for RS256 alone', { jwks: { keys: [{ ...rsa, alg: 'RS256' }] } }, 'jwks fapi2'],
  [
    'ID tokens by RS256',
    { id_token_signed_response_alg: 'RS256' },
    'id_token_signed_response_alg fapi2',
  ],
  [
    'ID tokens by the default algorithm',
    { id_token_signed_response_alg: undefined },
    'id_token_signed_response_alg fapi2',
  ],
  [
    'userinfo by RS256',
    { userinfo_signed_response_alg: 'RS256' },
    'userinfo_signed_response_alg fapi2',
  ],
  [
    'answers to introspection by RS256',
    { introspection_signed_response_alg: 'RS256' },
    'introspection_signed_response_alg fapi2',
  ],
  [
    'authorization responses by RS256',
    { authorization_signed_response_alg: 'RS256' },
    'authorization_signed_response_alg fapi2',
  ],
  ['bearer tokens', { dpop_bound_access_tokens: false }, 'dpop_bound_access_tokens fapi2'],
  [
    'requests that are not pushed',
    { require_pushed_authorization_requests: false },
    'require_pushed_authorization_requests fapi2',
  ],
  [
    'a rotation of refresh tokens',
    { grant_types: ['authorization_code', 'refresh_token'], refresh_token_rotation: 'auto' },
    'refresh_token_rotation fapi2',
  ],
  ['plain http', { redirect_uris: ['http://bank.example/cb'] }, 'redirect_uris.0 fapi2'],
  [
    'http to this machine without being native',
    { redirect_uris: ['http://localhost:9999/cb'] },
    'redirect_uris.0 fapi2',
  ],
]

describe('a client that must meet fapi2', () => {
  it('is accepted with or without naming what the profile imposes', () => {
    const said = { dpop_bound_access_tokens: true, require_pushed_authorization_requests: true }
    for (const changed of [
      {},
      said,
      { jwks: { keys: [rsa] }, token_endpoint_auth_signing_alg: 'PS256' },
      { jwks: { keys: [rsa] } },
      { userinfo_signed_response_alg: 'ES256', authorization_signed_response_alg: 'ES256' },
      { application_type: 'native', redirect_uris: ['http://localhost:9999/cb'] },
    ]) {
      assert.deepEqual(problems(changed), [], JSON.stringify(changed))
    }
  })

  for (const [what, changed, problem] of REFUSED) {
    it(`is refused with ${what}`, () => {
      assert.deepEqual(problems(changed), [problem])
      const ofServer = { ...CONTEXT, profile: 'fapi2' as const }
      assert.deepEqual(problems({ ...changed, profile: undefined }, ofServer), [problem])
      assert.ok(!problems({ ...changed, profile: undefined }).includes(problem))
    })
  }

  it('is refused if one of its APIs gets JWTs of another algorithm', () => {
    const api = { identifier: 'urn:a', scopes: ['read'] }
    const apis = (tokenFormat: 'jwt' | 'opaque', algorithm: 'RS256' | 'ES256') => ({
      ...CONTEXT,
      resources: [{ ...api, tokenFormat, algorithm }],
    })
    const resources = { 'urn:a': ['read'] }
    assert.deepEqual(problems({ resources }, apis('jwt', 'RS256')), ['resources.urn:a fapi2'])
    assert.deepEqual(problems({ resources }, apis('jwt', 'ES256')), [])
    assert.deepEqual(problems({ resources }, apis('opaque', 'RS256')), [])
    assert.deepEqual(problems({}, apis('jwt', 'RS256')), [])
  })

  it('is refused where clocks that are ahead are not accepted', () => {
    const tolerance = (clockTolerance: number) => ({ ...CONTEXT, clockTolerance })
    assert.deepEqual(problems({}, tolerance(9)), ['profile fapi2'])
    assert.deepEqual(problems({}, tolerance(10)), [])
    assert.deepEqual(problems({}, tolerance(300)), [], 'limited for this client alone')
  })

  it('is told the fix and whose profile asks for it', () => {
    const [violation] = clientViolations(
      { ...BANK, id_token_signed_response_alg: undefined },
      CONTEXT,
    )
    assert.equal(
      violation?.message,
      'it is missing, which means RS256, but must be one of PS256, ES256, EdDSA, Ed25519, because its profile is fapi2 (FAPI 2.0 Security Profile)',
    )
    assert.match(violation?.fix ?? '', /^set id_token_signed_response_alg to one of PS256, ES256/)
  })

  it('is refused with an unknown profile', () => {
    assert.deepEqual(problems({ profile: 'fapi1' }), ['profile choice'])
  })
})
