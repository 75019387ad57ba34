import assert from 'node:assert/strict'
import { test } from 'node:test'
import { broken, load, violationsOf } from '../config/sources.ts'

/** Rules of clients that concern APIs and lifetimes, as `config check` reports them. */

const APIS = `
resources:
  - { identifier: "https://a.example", scopes: [read, write] }
  - { identifier: "urn:b", scopes: [] }
`
const SHOP =
  'client_id: shop, client_secret: secret, redirect_uris: ["https://shop.example/callback"], ' +
  'grant_types: [authorization_code, refresh_token]'
const client = (properties: string) => `${APIS}clients: [{ ${SHOP}, ${properties} }]`

const RIGHT = [
  'scope: openid',
  'resources: {}',
  'resources: { "https://a.example": [read], "urn:b": [] }',
  'resources: { "https://a.example": [] }, default_resource: "https://a.example"',
]
for (const properties of RIGHT) {
  test(`a client may have ${properties}`, (t) => {
    assert.deepEqual(violationsOf(t, client(properties)), [])
  })
}

const WRONG = [
  [
    'resources: { "https://a.exmaple": [read] }',
    'clients.0.resources.https://a.exmaple: client-api',
    /^rename it to https:\/\/a\.example or urn:b, or add it to resources of the configuration/,
  ],
  [
    'resources: { "https://a.example": [read, wirte] }',
    'clients.0.resources.https://a.example.1: client-api-scope',
    /^write read or write, or add wirte to the scopes of the API/,
  ],
  [
    'resources: { "urn:b": [read] }',
    'clients.0.resources.urn:b.0: client-api-scope',
    /^add read to the scopes of the API/,
  ],
  [
    'default_resource: "urn:b"',
    'clients.0.default_resource: default-resource',
    /^add urn:b: \[\] with the scopes/,
  ],
  [
    'resources: { "https://a.example": [read] }, default_resource: "urn:b"',
    'clients.0.default_resource: default-resource',
    /or set clients\.0\.default_resource to https:\/\/a\.example$/,
  ],
  ['resources: { "https://A.example": [] }', 'clients.0.resources.https://A.example: format', /./],
  [
    'resources: { "https://a.example#x": [] }',
    'clients.0.resources.https://a.example#x: format',
    /./,
  ],
  ['resources: [read]', 'clients.0.resources: type', /a map/],
  ['resources: { "urn:b": read }', 'clients.0.resources.urn:b: type', /a list/],
  [
    'resources: { "https://a.example": ["read write"] }',
    'clients.0.resources.https://a.example.0: format',
    /without blanks/,
  ],
  ['consent: never', 'clients.0.consent: choice', /ask, skip/],
  [
    'refresh_token_rotation: yes',
    'clients.0.refresh_token_rotation: choice',
    /auto, always, never/,
  ],
  ['access_token_lifetime: 10', 'clients.0.access_token_lifetime: type', /90s/],
  ['id_token_lifetime: 0s', 'clients.0.id_token_lifetime: format', /from 1s/],
  ['claims_in_id_token: "yes"', 'clients.0.claims_in_id_token: type', /true or false/],
] as const
for (const [properties, problem, fix] of WRONG) {
  test(`a client may not have ${properties}`, (t) => {
    const violations = violationsOf(t, client(properties))
    assert.deepEqual(broken(violations), [problem])
    assert.match(violations[0]?.fix ?? '', fix)
  })
}

test('an API with a scope of OpenID Connect is refused', (t) => {
  const text = 'resources: [{ identifier: "urn:a", scopes: [read, openid, offline_access, email] }]'
  assert.deepEqual(broken(violationsOf(t, text)), [
    'resources.0.scopes.1: api-scope',
    'resources.0.scopes.2: api-scope',
  ])
})

test('an API with typ JWT whose audience is a client_id is refused', (t) => {
  const text = (api: string) =>
    `resources: [{ identifier: "urn:a", scopes: [], ${api} }]\nclients: [{ ${SHOP} }]`
  assert.deepEqual(broken(violationsOf(t, text('typ: JWT, audience: shop'))), [
    'clients.0.client_id: api-typ',
  ])
  assert.deepEqual(violationsOf(t, text('audience: shop')), [])
  assert.deepEqual(broken(violationsOf(t, text('typ: JWT, audience: shop, tokenFormat: opaque'))), [
    'resources.0.typ: no-effect',
  ])
  assert.deepEqual(violationsOf(t, text('typ: JWT')), [])
  assert.deepEqual(broken(violationsOf(t, text('typ: jwt'))), ['resources.0.typ: choice'])
})

test('lifetimes of a client that exceed retention or the grant are refused', (t) => {
  const text = (properties: string, settings: string) => `${settings}\n${client(properties)}`
  for (const property of ['access_token_lifetime', 'id_token_lifetime']) {
    const properties = `${property}: 2h`
    assert.deepEqual(violationsOf(t, text(properties, 'rotation: { retention: 122m }')), [])
    const [short] = violationsOf(t, text(properties, 'rotation: { retention: 7319s }'))
    assert.equal(short?.fix, 'set rotation.retention to at least 122m')
    assert.match(short.message, new RegExp(`clients\\.0\\.${property} 2h`))
  }
  assert.deepEqual(violationsOf(t, client('refresh_token_lifetime: 14d')), [])
  const [late] = violationsOf(t, client('refresh_token_lifetime: 15d'))
  assert.equal(late?.fix, 'set tokens.grant to at least 15d')
})

test('retention: auto follows the longest lifetime of a client', (t) => {
  assert.deepEqual(violationsOf(t, client('id_token_lifetime: 30d')), [])
  assert.equal(load(t, client('id_token_lifetime: 30d')).clients[0]?.id_token_lifetime, 30 * 86_400)
})

const people = 'grant_types: [authorization_code, refresh_token]'
const properties = (
  more: string,
  { grants = people, proof = 'client_secret: secret' }: { grants?: string; proof?: string } = {},
) => `${APIS}clients: [{ client_id: shop, ${proof}, ${grants}, ${more} }]`
const CALLBACK = 'redirect_uris: ["https://shop.example/callback"]'
const MACHINE = { grants: 'grant_types: [client_credentials]' }
const CODE_ALONE = { grants: 'grant_types: [authorization_code]' }
const DEVICE = {
  grants: 'grant_types: ["urn:ietf:params:oauth:grant-type:device_code", refresh_token]',
  proof: 'token_endpoint_auth_method: none',
}
const PUBLIC = { proof: 'token_endpoint_auth_method: none' }
const NATIVE = { proof: 'token_endpoint_auth_method: none, application_type: native' }

/** Properties without effect or with a risk, and the rule that each breaks. */
const IDLE: readonly (readonly [text: string, problem: string | undefined])[] = [
  [properties('consent: skip', MACHINE), 'consent: no-effect'],
  [properties('claims_in_id_token: true', MACHINE), 'claims_in_id_token: no-effect'],
  [properties('claims_in_id_token: false', MACHINE), undefined],
  [properties('id_token_lifetime: 5m', MACHINE), 'id_token_lifetime: no-effect'],
  [properties('access_token_lifetime: 5m', MACHINE), undefined],
  [properties(`${CALLBACK}, scope: email, id_token_lifetime: 5m`), 'id_token_lifetime: no-effect'],
  [
    properties(`${CALLBACK}, offline_access_without_prompt: true`, CODE_ALONE),
    'offline_access_without_prompt: no-effect',
  ],
  [
    properties(`${CALLBACK}, scope: openid, offline_access_without_prompt: true`),
    'offline_access_without_prompt: no-effect',
  ],
  [
    properties('offline_access_without_prompt: true', DEVICE),
    'offline_access_without_prompt: no-effect',
  ],
  [
    properties(`${CALLBACK}, refresh_token_rotation: always`, CODE_ALONE),
    'refresh_token_rotation: no-effect',
  ],
  [
    properties(`${CALLBACK}, refresh_token_lifetime: 1d`, CODE_ALONE),
    'refresh_token_lifetime: no-effect',
  ],
  [
    properties(`${CALLBACK}, refresh_token_rotation: never`, PUBLIC),
    'refresh_token_rotation: refresh-token-rotation',
  ],
  [
    properties(
      `${CALLBACK}, refresh_token_rotation: never, dpop_bound_access_tokens: true`,
      PUBLIC,
    ),
    undefined,
  ],
  [properties(`${CALLBACK}, refresh_token_rotation: never`), undefined],
  [properties(`${CALLBACK}, consent: skip`, NATIVE), undefined],
  [properties('consent: skip', DEVICE), undefined],
  [
    properties('redirect_uris: ["com.example.shop:/callback"], consent: skip', NATIVE),
    'consent: app-consent',
  ],
  [
    properties(
      'redirect_uris: ["https://shop.example/", "http://127.0.0.1/"], consent: skip',
      NATIVE,
    ),
    'consent: app-consent',
  ],
  [properties('redirect_uris: ["com.example.shop:/callback"], consent: ask', NATIVE), undefined],
]
for (const [text, problem] of IDLE) {
  const what = text.slice(text.indexOf('{ client_id') + 2)
  test(`${problem === undefined ? 'takes' : 'refuses'} ${what}`, (t) => {
    const expected = problem === undefined ? [] : [`clients.0.${problem}`]
    assert.deepEqual(broken(violationsOf(t, text)), expected)
  })
}
