import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { before, describe, it } from 'node:test'
import fc from 'fast-check'
import { oneIssuer } from '../../lab/one-issuer.ts'
import type { ClientMetadata } from '../../src/clients/client.ts'
import { withoutEmpty, withResponseTypes } from '../../src/clients/complete.ts'
import {
  AUTH_METHODS,
  clientSchema,
  DEVICE_CODE,
  GRANT_TYPES,
  KEY_ALGORITHMS,
  OFFERED_PROPERTIES,
} from '../../src/clients/properties.ts'
import { brokenClientRules } from '../../src/clients/rules.ts'
import { clientViolations } from '../../src/clients/validate.ts'
import { WITHOUT_EFFECT } from '../../src/clients/without-effect.ts'
import { clientContext } from '../../src/config/client-context.ts'
import { loadConfig } from '../../src/config/load.ts'
import { rotationPolicies } from '../../src/config/policies.ts'
import { type BuildClient, createBuildClient } from '../../src/oidc/acceptable-client.ts'

const config = oneIssuer(loadConfig({ env: {} }))
const DEVELOPMENT = clientContext(config)
const PRODUCTION = { ...DEVELOPMENT, isProduction: true, callsPrivateNetworks: false }

const SECRET = 'a-secret-of-forty-characters-and-no-less'
const WEB = { client_id: 'a', client_secret: SECRET, redirect_uris: ['https://a.example/cb'] }
const NATIVE = { ...WEB, application_type: 'native', client_secret: undefined }
const PUBLIC = { token_endpoint_auth_method: 'none', client_secret: undefined }
const MACHINE = { client_id: 'a', client_secret: SECRET, grant_types: ['client_credentials'] }

const jwkOf = (type: 'ec' | 'rsa' | 'ed25519', options: object) =>
  generateKeyPairSync(type as 'ec', options as { namedCurve: string })
const p256 = jwkOf('ec', { namedCurve: 'P-256' })
const EC = p256.publicKey.export({ format: 'jwk' })
const EC_PRIVATE = p256.privateKey.export({ format: 'jwk' })
const P384 = jwkOf('ec', { namedCurve: 'P-384' }).publicKey.export({ format: 'jwk' })
const SMALL_RSA = jwkOf('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' })
const KEYS = { token_endpoint_auth_method: 'private_key_jwt', client_secret: undefined }

/** Metadata completed as by commands and the configuration. */
function complete(metadata: object): Readonly<Record<string, unknown>> {
  const defined = Object.entries(metadata).filter(([, value]) => value !== undefined)
  return withResponseTypes(withoutEmpty(Object.fromEntries(defined)))
}

function problems(metadata: object, context = PRODUCTION): readonly string[] {
  return clientViolations(complete(metadata), context).map(({ path, rule }) => `${path} ${rule}`)
}

const uri = (...uris: readonly string[]) => ({ ...WEB, redirect_uris: uris })
const native = (...uris: readonly string[]) => ({ ...NATIVE, ...PUBLIC, redirect_uris: uris })
const FIRST = 'redirect_uris.0 format'
const UNSAFE = 'redirect_uris.0 redirect-uri'

const REFUSED: readonly (readonly [metadata: object, ...problems: readonly string[]])[] = [
  // Redirect URIs.
  [uri('http://app.internal/cb'), UNSAFE],
  [uri('http://192.0.2.7:8080/cb'), UNSAFE],
  [uri('http://localhost.example.com/cb'), UNSAFE],
  [uri('http://127.0.0.2/cb'), UNSAFE],
  [uri('https://*.example.com/cb'), FIRST],
  [uri('https://a.example.com/*'), FIRST],
  [uri('https://a.example/cb '), FIRST],
  [uri('https://a.example/c b'), FIRST],
  [uri('https://A.example/cb'), FIRST],
  [uri('HTTPS://a.example/cb'), FIRST],
  [uri('https://a.example:443/cb'), FIRST],
  [uri('https://a.example/x/../cb'), FIRST],
  [uri('https://a.example/cb#done'), FIRST],
  [uri('https://a.example/cb#'), FIRST],
  [uri('https://bank.example@evil.example/cb'), FIRST],
  [uri('https://a.example/cb%zz'), FIRST],
  [uri('https://a.example/cb?x=100%'), FIRST],
  [uri('https://a.example:0/cb'), FIRST],
  [uri('https://a..example/cb'), FIRST],
  [uri('https://-a.example/cb'), FIRST],
  [uri(`https://${'a'.repeat(64)}.example/cb`), FIRST],
  [
    { ...WEB, post_logout_redirect_uris: ['https://.example/'] },
    'post_logout_redirect_uris.0 format',
  ],
  [{ ...WEB, logo_uri: 'https://a..example/logo.png' }, 'logo_uri format'],
  [uri('https://a.example/cb?code=x'), FIRST],
  [uri('https://a.example/cb?a=b&st%61te'), FIRST],
  [uri('https://u:p@a.example/cb'), FIRST],
  [uri('https://@a.example/cb'), FIRST],
  [uri('//a.example/cb'), FIRST],
  [uri('a.example/cb'), FIRST],
  [uri(''), FIRST],
  [uri('javascript:alert(1)'), FIRST],
  [uri('data:text/html,x'), FIRST],
  [uri('com.example.app:/cb'), UNSAFE],
  [native('myapp:/cb'), FIRST],
  [native('urn:ietf:wg:oauth:2.0:oob'), FIRST],
  [native('app.:/cb'), FIRST],
  [native('http://app.example/cb'), UNSAFE],
  [native('https://localhost/cb'), UNSAFE],
  [native('https://[::1]:8443/cb'), UNSAFE],
  [
    uri('http://a.example/', 'https://a.example/', 'https://B.example/'),
    'redirect_uris.2 format',
    UNSAFE,
  ],
  [
    { ...WEB, post_logout_redirect_uris: ['http://a.example/'] },
    'post_logout_redirect_uris.0 redirect-uri',
  ],
  [
    { ...WEB, post_logout_redirect_uris: ['https://a.example/#x'] },
    'post_logout_redirect_uris.0 format',
  ],
  [{ ...WEB, redirect_uris: [] }, 'redirect_uris missing'],
  [{ ...WEB, redirect_uris: 'https://a.example/cb' }, 'redirect_uris type'],
  [{ ...MACHINE, redirect_uris: ['https://a.example/'] }, 'redirect_uris no-effect'],
  [
    { ...MACHINE, post_logout_redirect_uris: ['https://a.example/'] },
    'post_logout_redirect_uris no-effect',
  ],
  // What Keyturn calls.
  [
    { ...WEB, backchannel_logout_uri: 'https://10.1.2.3/out' },
    'backchannel_logout_uri private-address',
  ],
  [
    { ...WEB, backchannel_logout_uri: 'http://localhost/out' },
    'backchannel_logout_uri private-address',
  ],
  [
    { ...WEB, backchannel_logout_uri: 'https://[fd00::1]/out' },
    'backchannel_logout_uri private-address',
  ],
  [
    { ...WEB, ...PUBLIC, backchannel_logout_uri: 'http://a.example/out' },
    'backchannel_logout_uri plain-http',
  ],
  [
    { ...WEB, backchannel_logout_session_required: true },
    'backchannel_logout_session_required no-effect',
  ],
  [{ ...WEB, ...KEYS, jwks_uri: 'http://a.example/jwks' }, 'jwks_uri plain-http'],
  [{ ...WEB, ...KEYS, jwks_uri: 'ftp://a.example/jwks' }, 'jwks_uri format'],
  [{ ...WEB, logo_uri: 'data:image/png;base64,AA' }, 'logo_uri format'],
  // Authentication of the client.
  [{ ...WEB, client_secret: undefined }, 'client_secret missing'],
  [{ ...WEB, client_secret: '' }, 'client_secret missing'],
  [{ ...WEB, client_secret: 'pässwort' }, 'client_secret format'],
  [{ ...WEB, client_secret: 'two\nlines' }, 'client_secret format'],
  [{ ...WEB, token_endpoint_auth_method: 'none' }, 'client_secret no-effect'],
  [{ ...WEB, ...KEYS, client_secret: SECRET, jwks: { keys: [EC] } }, 'client_secret no-effect'],
  [
    { ...WEB, token_endpoint_auth_method: 'client_secret_jwt', client_secret: 'short' },
    'client_secret range',
  ],
  [{ ...WEB, token_endpoint_auth_method: 'tls_client_auth' }, 'token_endpoint_auth_method choice'],
  [{ ...WEB, token_endpoint_auth_method: 'basic' }, 'token_endpoint_auth_method choice'],
  [{ ...WEB, client_secret_expires_at: -1 }, 'client_secret_expires_at range'],
  [{ ...WEB, ...PUBLIC, client_secret_expires_at: 1 }, 'client_secret_expires_at no-effect'],
  [{ ...WEB, ...KEYS }, 'jwks_uri keys'],
  [{ ...WEB, ...KEYS, jwks: { keys: [EC] }, jwks_uri: 'https://a.example/jwks' }, 'jwks_uri keys'],
  [{ ...WEB, jwks: { keys: [EC] } }, 'jwks no-effect'],
  [{ ...WEB, jwks_uri: 'https://a.example/jwks' }, 'jwks_uri no-effect'],
  [{ ...WEB, ...KEYS, jwks: { keys: [] } }, 'jwks.keys range'],
  [{ ...WEB, ...KEYS, jwks: [EC] }, 'jwks type'],
  [{ ...WEB, ...KEYS, jwks: { keys: [EC_PRIVATE] } }, 'jwks.keys.0.d format'],
  [
    { ...WEB, ...KEYS, jwks: { keys: [EC, { kty: 'EC', crv: 'P-256', x: 'a', y: 'b' }] } },
    'jwks.keys.1 format',
  ],
  [
    { ...WEB, ...KEYS, jwks: { keys: [{ kty: 'oct', k: 'c2VjcmV0' }] } },
    'jwks.keys.0.k format',
    'jwks.keys.0 format',
  ],
  [{ ...WEB, ...KEYS, jwks: { keys: [SMALL_RSA] } }, 'jwks.keys.0 format'],
  [{ ...WEB, ...KEYS, jwks: { keys: [P384] } }, 'jwks keys'],
  [{ ...WEB, ...KEYS, jwks: { keys: [{ ...EC, use: 'enc' }] } }, 'jwks keys'],
  [
    { ...WEB, ...KEYS, jwks: { keys: [EC] }, token_endpoint_auth_signing_alg: 'PS256' },
    'jwks keys',
  ],
  [
    { ...WEB, ...KEYS, jwks: { keys: [EC] }, token_endpoint_auth_signing_alg: 'HS256' },
    'token_endpoint_auth_signing_alg choice',
    'jwks keys',
  ],
  [
    { ...WEB, token_endpoint_auth_signing_alg: 'ES256' },
    'token_endpoint_auth_signing_alg no-effect',
  ],
  [{ ...WEB, token_endpoint_auth_signing_alg: 'ES512' }, 'token_endpoint_auth_signing_alg choice'],
  // Grant types.
  [{ ...WEB, grant_types: ['authorization_code', 'implicit'] }, 'grant_types.1 choice'],
  [{ ...WEB, grant_types: ['authorization_code', 'password'] }, 'grant_types.1 choice'],
  [{ ...MACHINE, grant_types: [] }, 'grant_types missing'],
  [{ ...MACHINE, grant_types: ['client_credentials', 'refresh_token'] }, 'grant_types no-effect'],
  [{ ...MACHINE, ...PUBLIC }, 'grant_types grant-types'],
  [{ ...WEB, response_types: ['code id_token'] }, 'response_types.0 choice'],
  [{ ...WEB, response_types: [] }, 'response_types response-types', 'redirect_uris no-effect'],
  [
    { ...MACHINE, response_types: ['code'] },
    'response_types response-types',
    'redirect_uris missing',
  ],
  [{ ...WEB, response_modes: ['query', 'web_message'] }, 'response_modes.1 choice'],
  [{ ...WEB, response_modes: [] }, 'response_modes missing'],
  [{ ...MACHINE, response_modes: ['query'] }, 'response_modes no-effect'],
  // What it gets.
  [{ ...WEB, scope: 'read' }, 'scope scope'],
  [{ ...WEB, scope: 'openid groups roles' }, 'scope scope', 'scope scope'],
  [{ ...WEB, scope: 'openid  email' }, 'scope format'],
  [{ ...WEB, scope: ['openid'] }, 'scope type'],
  [{ ...WEB, id_token_signed_response_alg: 'none' }, 'id_token_signed_response_alg algorithm-ring'],
  [
    { ...WEB, id_token_signed_response_alg: 'HS256' },
    'id_token_signed_response_alg algorithm-ring',
  ],
  [
    { ...WEB, id_token_signed_response_alg: 'rs256' },
    'id_token_signed_response_alg algorithm-ring',
  ],
  [
    { ...WEB, userinfo_signed_response_alg: 'ES512' },
    'userinfo_signed_response_alg algorithm-ring',
  ],
  [
    { ...WEB, authorization_signed_response_alg: 'HS256' },
    'authorization_signed_response_alg algorithm-ring',
  ],
  [{ ...MACHINE, default_max_age: 60 }, 'default_max_age no-effect'],
  [{ ...MACHINE, userinfo_signed_response_alg: 'ES256' }, 'userinfo_signed_response_alg no-effect'],
  [{ ...WEB, subject_type: 'pairwise' }, 'subject_type choice'],
  [{ ...WEB, default_max_age: '300' }, 'default_max_age type'],
  [{ ...WEB, default_max_age: 1.5 }, 'default_max_age type'],
  [{ ...WEB, require_auth_time: 'yes' }, 'require_auth_time type'],
  [{ ...WEB, contacts: ['ada'] }, 'contacts.0 format'],
  [{ ...WEB, client_id: 'a'.repeat(256) }, 'client_id format'],
  [{ ...WEB, client_name: 'a'.repeat(256) }, 'client_name format'],
  // What is no property, or has no effect here.
  [{ ...WEB, toString: 1 }, 'toString unknown-setting'],
  [{ ...WEB, constructor: { a: 1 } }, 'constructor unknown-setting'],
  [{ ...WEB, ['__proto__']: { a: 1 } }, '__proto__ unknown-setting'],
  [{ ...WEB, resources: { ['__proto__']: ['read'] } }, 'resources.__proto__ format'],
  [{ ...WEB, redirectUris: ['https://a.example/'] }, 'redirectUris unknown-setting'],
  [{ ...WEB, skip_consent: true }, 'skip_consent unknown-setting'],
  [{ ...WEB, 'client_name#de': 'Laden' }, 'client_name#de unknown-setting'],
  [
    { ...WEB, previous_client_secrets: [{ secret: 'x', until: 1 }] },
    'previous_client_secrets unknown-setting',
  ],
  [{ ...WEB, application_type: 'spa' }, 'application_type choice'],
  [{ ...WEB, require_signed_request_object: true }, 'require_signed_request_object format'],
  [
    { ...WEB, id_token_encrypted_response_alg: 'RSA-OAEP' },
    'id_token_encrypted_response_alg format',
  ],
  [{ ...WEB, frontchannel_logout_uri: 'https://a.example/' }, 'frontchannel_logout_uri format'],
  // Many at once.
  [
    {
      client_id: 'a b ',
      client_name: 'A\u200b',
      redirect_uris: ['/cb', 'http://x.example/'],
      scope: 'read',
      grant_types: ['magic'],
    },
    'client_id format',
    'client_name format',
    'redirect_uris.0 format',
    'grant_types.0 choice',
    'client_secret missing',
    'redirect_uris.1 redirect-uri',
    'scope scope',
  ],
]

const TAKEN: readonly object[] = [
  WEB,
  MACHINE,
  uri('https://a.example', 'https://a.example/', 'https://a.example:8443/cb?x=%2F'),
  uri('http://localhost:3001/cb', 'http://127.0.0.1/cb', 'http://[::1]:9/cb'),
  native(
    'com.example.app:/cb',
    'com.example.app://cb',
    'http://127.0.0.1/cb',
    'https://a.example/',
  ),
  { ...WEB, ...PUBLIC },
  { ...WEB, userinfo_signed_response_alg: 'ES256', response_modes: ['query.jwt', 'jwt'] },
  { ...MACHINE, introspection_signed_response_alg: 'RS256' },
  {
    ...WEB,
    token_endpoint_auth_method: 'client_secret_jwt',
    token_endpoint_auth_signing_alg: 'HS256',
  },
  { ...WEB, ...KEYS, jwks: { keys: [P384, EC] }, token_endpoint_auth_signing_alg: 'ES256' },
  { ...WEB, ...KEYS, jwks_uri: 'https://a.example/jwks.json' },
  { ...WEB, ...PUBLIC, grant_types: ['authorization_code', 'refresh_token', DEVICE_CODE] },
  { ...PUBLIC, client_id: 'tv', grant_types: [DEVICE_CODE, 'refresh_token'], redirect_uris: [] },
  { ...WEB, scope: 'openid profile email offline_access', client_secret_expires_at: 0 },
  {
    ...WEB,
    backchannel_logout_uri: 'http://app.example/out',
    backchannel_logout_session_required: true,
  },
  // What other servers write of a client that uses little.
  {
    ...WEB,
    client_uri: '',
    logo_uri: null,
    policy_uri: '',
    tos_uri: '',
    contacts: [],
    jwks: {},
    jwks_uri: '',
    audience: [],
    metadata: {},
    owner: '',
    skip_consent: false,
    request_uris: [],
    subject_type: 'public',
    require_signed_request_object: false,
    userinfo_signed_response_alg: '',
    sector_identifier_uri: '',
  },
]

describe('an invalid client', () => {
  for (const [metadata, ...expected] of REFUSED) {
    it(`is refused: ${expected.join(', ')} in ${JSON.stringify(metadata)}`, () => {
      assert.deepEqual(problems(metadata), expected)
    })
  }

  it('is reported with path, value, message and fix of each problem', () => {
    const clients = [WEB, { ...WEB, ...KEYS }, MACHINE, { ...MACHINE, ...PUBLIC }]
    for (const metadata of [...REFUSED.map(([each]) => each), ...clients]) {
      for (const violation of clientViolations(complete(metadata), PRODUCTION)) {
        assert.deepEqual(Object.keys(violation).toSorted(), [
          'fix',
          'message',
          'path',
          'rule',
          'value',
        ])
        const [name = ''] = violation.path.split('.')
        assert.ok(violation.message.length > 10 && violation.fix.length > 5, violation.path)
        const given = Object.getOwnPropertyDescriptor(metadata, name)?.value
        if (given === undefined || given === '') assert.equal(violation.value, null)
      }
    }
  })

  it('is reported without its secrets', () => {
    for (const metadata of [
      { ...WEB, ...PUBLIC, client_secret: SECRET },
      { ...WEB, client_secret: `${SECRET}ä` },
      {
        ...WEB,
        token_endpoint_auth_method: 'client_secret_jwt',
        client_secret: 'secret-of-25-letters-long',
      },
      { ...WEB, ...KEYS, jwks: { keys: [EC_PRIVATE] } },
      { ...WEB, registration_access_token: SECRET },
      { ...WEB, clientSecret: SECRET },
    ]) {
      const told = clientViolations(complete(metadata), PRODUCTION)
      assert.ok(told.length > 0)
      const text = JSON.stringify(told)
      assert.ok(
        !text.includes(SECRET) &&
          !text.includes('secret-of-25') &&
          !text.includes(`${EC_PRIVATE.d}`),
        text,
      )
    }
  })

  it('is accepted in development if only its plain http is wrong', () => {
    assert.deepEqual(problems(uri('http://app.test/cb'), DEVELOPMENT), [])
    const told = { ...WEB, backchannel_logout_uri: 'http://localhost/out' }
    assert.deepEqual(problems(told, DEVELOPMENT), [])
    assert.deepEqual(problems(told, { ...DEVELOPMENT, tellsOfSignOuts: false }), [
      'backchannel_logout_uri no-effect',
    ])
  })

  it('with the scope of an API among its OpenID scopes is told which API has it', () => {
    const api = { tokenFormat: 'jwt', algorithm: 'RS256' } as const
    const resources = [{ identifier: 'urn:orders', scopes: ['orders.read'], ...api }]
    const [violation] = clientViolations(complete({ ...WEB, scope: 'openid orders.read' }), {
      ...PRODUCTION,
      resources,
    })
    assert.match(violation?.message ?? '', /is a scope of the API urn:orders/)
  })
})

describe('a valid client', () => {
  for (const metadata of TAKEN) {
    it(`is accepted: ${JSON.stringify(metadata)}`, () => assert.deepEqual(problems(metadata), []))
  }
})

describe('the rules of clients and oidc-provider', () => {
  let build: BuildClient
  before(async () => {
    build = await createBuildClient(config, rotationPolicies(config))
  })

  it('know the same properties', async () => {
    // oidc-provider does not export these lists.
    const path = '../../node_modules/oidc-provider/lib/consts/client_attributes.js'
    const lists: Readonly<Record<string, object>> = await import(path)
    const { RECOGNIZED_METADATA, STRING, BOOL, ARYS, WEB_URI, DEFAULTS } = lists
    const names = [RECOGNIZED_METADATA, STRING, BOOL, ARYS, WEB_URI].flatMap((list) =>
      Object.values(list ?? {}),
    )
    assert.ok(names.length > 80)
    for (const name of [...names, ...Object.keys(DEFAULTS ?? {})]) {
      const isOffered = OFFERED_PROPERTIES.includes(name)
      assert.notEqual(isOffered, Object.hasOwn(WITHOUT_EFFECT, name), `${name} is not decided`)
    }
  })

  it('accept the same clients, and oidc-provider ignores no property', async () => {
    for (const metadata of TAKEN) await assertKept(metadata)
    const one = fc.constantFrom
    const changes = fc.record(
      {
        client_secret: one(undefined, 's', SECRET),
        client_secret_expires_at: one(0, 1),
        application_type: one('web', 'native'),
        redirect_uris: one(
          [],
          ['https://a.example/cb'],
          ['http://localhost/cb', 'http://127.0.0.1:4/'],
          ['com.example.app:/cb'],
          ['https://localhost/cb'],
          ['http://a.example/'],
        ),
        post_logout_redirect_uris: one([], ['https://a.example/bye'], ['com.example.app:/bye']),
        grant_types: one(...GRANT_TYPES.map((type) => [type]), [], [...GRANT_TYPES]),
        response_types: one([], ['code']),
        response_modes: one([], ['query'], ['form_post', 'fragment']),
        scope: one('openid', 'openid offline_access', 'email', 'read'),
        token_endpoint_auth_method: one(...AUTH_METHODS),
        token_endpoint_auth_signing_alg: one('HS256', ...KEY_ALGORITHMS),
        jwks: one(undefined, { keys: [EC] }, { keys: [P384] }),
        jwks_uri: one(undefined, 'https://a.example/jwks', 'http://localhost/jwks'),
        id_token_signed_response_alg: one('RS256', 'ES256', 'HS256'),
        default_max_age: one(0, 300),
        require_auth_time: one(true, false),
        require_pushed_authorization_requests: one(true, false),
        dpop_bound_access_tokens: one(true, false),
        backchannel_logout_uri: one('https://a.example/out', 'http://a.example/out'),
        backchannel_logout_session_required: one(true, false),
        logo_uri: one('', 'https://a.example/logo.png'),
        contacts: one(['ops@a.example', "o'neil@mail.a.example"], ['me@localhost']),
      },
      { requiredKeys: [] },
    )
    const clients = fc
      .tuple(one(...TAKEN), changes, fc.infiniteStream(fc.boolean()))
      // One change in four or so, since almost all clients with many are wrong.
      .map(([base, all, coin]) => {
        const kept = Object.entries(all).filter(() => coin.next().value && coin.next().value)
        return { ...base, ...Object.fromEntries(kept.slice(0, 3)) }
      })
    let taken = 0
    const property = fc.asyncProperty(clients, async (metadata) => {
      const given = complete(metadata)
      if (!clientSchema.safeParse(given).success) return
      if (brokenClientRules(given, DEVELOPMENT).length > 0) return
      taken++
      await assertKept(metadata)
    })
    await fc.assert(property, { numRuns: 3_000 })
    assert.ok(taken > 200, `only ${taken} of the clients were right`)
  })

  /** Asserts that oidc-provider keeps every given property with its value. */
  async function assertKept(metadata: object): Promise<void> {
    const given: ClientMetadata = clientSchema.parse(complete(metadata))
    const kept = new Map(Object.entries(await build(given)))
    for (const [name, value] of Object.entries(given)) {
      assert.deepEqual(kept.get(name), value, `${name} of ${JSON.stringify(given)}`)
    }
  }
})
