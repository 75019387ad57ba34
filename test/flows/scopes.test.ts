import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { decodeJwt } from 'jose'
import { REDIRECT_URI, SECRET, startTestServer, type TestServer } from '../../lab/server.ts'

/** What may be asked for, before anybody is asked: scopes and APIs of raw requests. */

const ORDERS = 'https://orders.example'
const BILLING = 'https://billing.example/v1'
const STOCK = 'urn:example:stock'
const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code'

const RESOURCES = [
  { identifier: ORDERS, scopes: ['orders.read', 'orders.write'] },
  { identifier: BILLING, scopes: ['bills', 'orders.read'], audience: 'billing' },
  { identifier: STOCK, scopes: ['stock'], tokenFormat: 'opaque' },
]

const person = {
  client_secret: SECRET,
  redirect_uris: [REDIRECT_URI],
  grant_types: ['authorization_code', 'refresh_token', DEVICE],
}
const CLIENTS = [
  { ...person, client_id: 'none' },
  {
    ...person,
    client_id: 'shop',
    scope: 'openid profile',
    resources: { [ORDERS]: ['orders.read'], [BILLING]: ['bills'] },
  },
  { ...person, client_id: 'empty', resources: { [ORDERS]: [] } },
  {
    client_id: 'job',
    client_secret: SECRET,
    redirect_uris: [],
    response_types: [],
    grant_types: ['client_credentials'],
    scope: 'openid',
    resources: { [ORDERS]: ['orders.read'], [BILLING]: ['bills'], [STOCK]: ['stock'] },
  },
]

let keyturn: TestServer
before(async () => {
  keyturn = await startTestServer({ settings: { resources: RESOURCES, clients: CLIENTS } })
})
after(() => keyturn[Symbol.asyncDispose]())

interface Answer {
  readonly status: number
  /** What the client was told. */
  readonly told: Readonly<Record<string, unknown>>
}

async function post(path: string, client: string, form: string): Promise<Answer> {
  const authorization = `Basic ${btoa(`${client}:${SECRET}`)}`
  const headers = { authorization, 'content-type': 'application/x-www-form-urlencoded' }
  const answer = await fetch(`${keyturn.issuer}${path}`, { method: 'POST', headers, body: form })
  // A JSON object (RFC 6749, section 5).
  return { status: answer.status, told: (await answer.json()) as Answer['told'] }
}

const PKCE = { code_challenge: 'a'.repeat(43), code_challenge_method: 'S256' }

/** What became of a request at the authorization endpoint: a page of ours, or an error for the client. */
function answerOf({ status, headers }: Response): Answer | 'asked' {
  const location = new URL(headers.get('location') ?? '', keyturn.issuer)
  if (location.pathname.startsWith('/interaction/')) return 'asked'
  assert.ok(location.href.startsWith(REDIRECT_URI), location.href)
  return { status, told: Object.fromEntries(location.searchParams) }
}

/** Each way to ask for a person, with what it takes to mean that the person would be asked. */
const WAYS: Readonly<
  Record<string, (client: string, wishes: string) => Promise<Answer | 'asked'>>
> = {
  'the authorization endpoint': async (client, wishes) => {
    const base = { client_id: client, redirect_uri: REDIRECT_URI, response_type: 'code', ...PKCE }
    const url = `${keyturn.issuer}/auth?${new URLSearchParams(base)}&${wishes}`
    return answerOf(await fetch(url, { redirect: 'manual' }))
  },
  'a pushed request': async (client, wishes) => {
    const base = { client_id: client, redirect_uri: REDIRECT_URI, response_type: 'code', ...PKCE }
    const answer = await post('/request', client, `${new URLSearchParams(base)}&${wishes}`)
    if (answer.status !== 201) return answer
    const url = `${keyturn.issuer}/auth?client_id=${client}&request_uri=${answer.told.request_uri}`
    return answerOf(await fetch(url, { redirect: 'manual' }))
  },
  'the device endpoint': async (client, wishes) => {
    const answer = await post('/device/auth', client, `client_id=${client}&${wishes}`)
    return answer.status === 200 ? 'asked' : answer
  },
}

const encoded = encodeURIComponent
const ORDERS_TOO = `resource=${encoded(ORDERS)}`
const BILLING_TOO = `resource=${encoded(BILLING)}`

/** What a client asks for, and the error it gets, or nothing where a person is asked. */
const REQUESTS: readonly (readonly [
  client: string,
  wishes: string,
  error?: string,
  words?: RegExp,
])[] = [
  ['shop', 'scope=openid'],
  ['shop', `scope=openid%20orders.read&${ORDERS_TOO}`],
  ['shop', `scope=orders.read%20bills&${ORDERS_TOO}&${BILLING_TOO}`],
  ['shop', `scope=openid&${ORDERS_TOO}`],
  // Nobody knows these, and OpenID Connect wants them left out.
  ['shop', 'scope=openid%20groups%20https://www.googleapis.com/auth/drive'],
  ['shop', `scope=openid%20groups%20orders.read&${ORDERS_TOO}`],
  ['shop', 'scope=groups', 'invalid_scope', /the scope groups is unknown/],
  ['shop', `scope=groups%20orders.read&${ORDERS_TOO}`, 'invalid_scope', /groups/],
  ['shop', 'scope=OPENID', 'invalid_scope', /OPENID/],
  ['shop', 'scope=Orders.Read%20openid'],
  // An API scope, and no API or another one.
  ['shop', 'scope=openid%20orders.read', 'invalid_target', /resource=https:\/\/orders\.example/],
  ['shop', 'scope=orders.read', 'invalid_target', /resource=https:\/\/orders\.example/],
  [
    'shop',
    `scope=openid%20bills&${ORDERS_TOO}`,
    'invalid_scope',
    /bills; resource=https:\/\/billing/,
  ],
  // The API has it, the client not.
  ['shop', `scope=openid%20orders.write&${ORDERS_TOO}`, 'invalid_scope', /do not list it/],
  [
    'shop',
    `scope=openid%20orders.read&${BILLING_TOO}`,
    'invalid_scope',
    /resource=https:\/\/orders/,
  ],
  ['none', `scope=openid%20orders.read&${ORDERS_TOO}`, 'invalid_target', /its resources list none/],
  ['none', 'scope=openid%20orders.read', 'invalid_scope', /do not list it/],
  ['empty', `scope=openid&${ORDERS_TOO}`],
  ['empty', `scope=openid%20orders.read&${ORDERS_TOO}`, 'invalid_scope', /do not list it/],
  [
    'shop',
    `scope=openid&resource=${encoded(STOCK)}`,
    'invalid_target',
    /urn:example:stock is no API/,
  ],
  ['shop', `scope=openid&resource=${encoded(`${ORDERS}/`)}`, 'invalid_target', /it may use https:/],
  ['shop', 'scope=openid&resource=orders', 'invalid_target', /absolute URI/],
  [
    'shop',
    `scope=openid&resource=${encoded('https://x/"<b>')}`,
    'invalid_target',
    /what was asked for is no API/,
  ],
  // OpenID scopes are limited by `scope`.
  ['shop', 'scope=openid%20email', 'invalid_scope', /not allowed/],
  ['none', 'scope=openid%20email'],
  // Nothing would be left to allow.
  ['empty', ORDERS_TOO, 'invalid_scope', /scope is missing/],
  ['shop', '', 'invalid_scope', /scope is missing/],
  // As some call it that have no `resource`.
  ['shop', `scope=openid%20orders.read&audience=${encoded(ORDERS)}`],
  ['shop', 'scope=openid%20bills&audience=billing'],
  ['shop', 'scope=openid%20orders.read&audience=billing', 'invalid_scope', /orders\.read/],
  ['shop', 'scope=openid&audience=stock', 'invalid_target', /audience and resource mean the same/],
  ['shop', `scope=openid&audience=billing&${ORDERS_TOO}`, 'invalid_target', /different APIs/],
  ['shop', `scope=openid%20bills&audience=billing&${BILLING_TOO}&${ORDERS_TOO}`],
]

for (const [name, ask] of Object.entries(WAYS)) {
  describe(name, () => {
    for (const [client, wishes, error, words] of REQUESTS) {
      const outcome = error === undefined ? 'leads to the person' : `is ${error}, with words`
      it(`${client} with ${decodeURIComponent(wishes) || 'no scope'} ${outcome}`, async () => {
        const answer = await ask(client, wishes)
        if (error === undefined) return assert.equal(answer, 'asked')
        assert.ok(answer !== 'asked', 'a person is asked first')
        assert.equal(answer.told.error, error)
        assert.match(String(answer.told.error_description), words ?? /./)
      })
    }
  })
}

/** The same for a client that acts for itself; where it gets a token, its scope and audience. */
const OWN: readonly (readonly [wishes: string, expected: string | object, words?: RegExp])[] = [
  [`scope=orders.read&${ORDERS_TOO}`, { scope: 'orders.read', aud: ORDERS }],
  [ORDERS_TOO, { scope: undefined, aud: ORDERS }],
  ['scope=orders.read&audience=https://orders.example', { scope: 'orders.read', aud: ORDERS }],
  ['scope=bills&audience=billing', { scope: 'bills', aud: 'billing' }],
  ['', { scope: undefined }],
  [`scope=orders.raed&${ORDERS_TOO}`, 'invalid_scope', /the scope orders\.raed is unknown/],
  ['scope=orders.raed', 'invalid_scope', /orders\.raed/],
  ['scope=orders.read', 'invalid_target', /resource=https:\/\/orders/],
  ['scope=openid%20groups', 'invalid_scope', /groups/],
  [`scope=orders.write&${ORDERS_TOO}`, 'invalid_scope', /do not list it/],
  [`scope=orders.read%20orders.write&${ORDERS_TOO}`, 'invalid_scope', /orders\.write/],
  [`scope=orders.read&${BILLING_TOO}`, 'invalid_scope', /orders\.read/],
  [`scope=stock&${ORDERS_TOO}`, 'invalid_scope', /resource=urn:example:stock/],
  [`scope=stock&resource=${encoded(STOCK)}`, { scope: 'stock' }],
  ['scope=email', 'invalid_scope', /not allowed/],
  ['resource=https://unknown.example', 'invalid_target', /it may use https:\/\/orders\.example, /],
  [`${ORDERS_TOO}&${BILLING_TOO}`, 'invalid_target', /single resource/],
  ['audience=nobody', 'invalid_target', /nobody is no API/],
  [`audience=billing&${ORDERS_TOO}`, 'invalid_target', /no token for https:\/\/billing/],
  ['audience=a&audience=b', 'invalid_request', /audience/],
]

describe('client credentials', () => {
  for (const [wishes, expected, words] of OWN) {
    const outcome = typeof expected === 'string' ? `are ${expected}` : 'give a token'
    it(`with ${decodeURIComponent(wishes) || 'nothing else'} ${outcome}`, async () => {
      const { told } = await post('/token', 'job', `grant_type=client_credentials&${wishes}`)
      if (typeof expected === 'string') {
        assert.equal(told.error, expected)
        return assert.match(String(told.error_description), words ?? /./)
      }
      const token = String(told.access_token)
      const { aud } = token.includes('.') ? decodeJwt(token) : {}
      assert.deepEqual(
        { aud: undefined, scope: told.scope, ...(aud ? { aud } : {}) },
        { aud: undefined, ...expected },
      )
    })
  }
})
