import assert from 'node:assert/strict'
import { createPrivateKey, generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { compactDecrypt, decodeJwt, decodeProtectedHeader, SignJWT, UnsecuredJWT } from 'jose'
import * as client from 'openid-client'
import { pino } from 'pino'
import { authorizationRequest, discoverAs } from '../../lab/relying-party.ts'
import { API, PERSON, SECRET, startTestServer, type TestServer } from '../../lab/server.ts'
import { createUserAgent, signIn } from '../../lab/user-agent.ts'
import { systemClock } from '../../src/clock.ts'
import { orderPromotion, orderRevocation } from '../../src/ring/orders.ts'
import { signerOf } from '../../src/ring/view.ts'
import { fileProtector } from '../../src/seal/protector.ts'
import { type KeyturnServer, startServer } from '../../src/server/server.ts'
import { type IssuerStores, openStores } from '../../src/server/stores.ts'
import { operate } from '../support/operator.ts'
import { until } from '../support/redis.ts'

/** JWT access tokens at the endpoints that take tokens (RFC 7662, RFC 7009), asked by openid-client. */

const RING = 'sig/RS256'

let keyturn: TestServer
let stores: IssuerStores
/** The same deployment, answering elsewhere. */
let other: KeyturnServer
before(async () => {
  keyturn = await startTestServer()
  stores = (await openStores(keyturn.config, systemClock)).of(keyturn.config.issuer)
  const elsewhere = { ...keyturn.config, http: { ...keyturn.config.http, port: 0 } }
  other = await startServer(elsewhere, { log: pino({ level: 'silent' }) })
})
after(async () => {
  await stores.close()
  await other.close()
  await keyturn[Symbol.asyncDispose]()
})

const machine = () => discoverAs(keyturn.issuer, 'machine')

async function tokenOfMachine(resource = API): Promise<string> {
  const parameters = { resource, scope: 'read' }
  return (await client.clientCredentialsGrant(await machine(), parameters)).access_token
}

async function tokensOfPerson(resource = API) {
  const rp = await discoverAs(keyturn.issuer, 'web')
  const wishes = { resource, scope: 'openid offline_access read', prompt: 'consent' }
  const { url, redeem } = await authorizationRequest(rp, wishes)
  const { callback } = await signIn(createUserAgent(), url, PERSON)
  return { rp, tokens: await redeem(callback, {}, { resource }) }
}

/** What `machine`, which is no party to most tokens, is told of one. */
const introspect = async (token: string) => client.tokenIntrospection(await machine(), token)

async function post(
  path: string,
  parameters: Record<string, string>,
  { by = 'machine', at = keyturn.issuer, accept = '*/*' } = {},
): Promise<{ status: number; type: string; text: string }> {
  const answer = await fetch(`${at}${path}`, {
    method: 'POST',
    headers: {
      authorization: `Basic ${Buffer.from(`${by}:${SECRET}`).toString('base64')}`,
      accept,
    },
    body: new URLSearchParams(parameters),
  })
  const type = answer.headers.get('content-type') ?? ''
  return { status: answer.status, type, text: await answer.text() }
}

describe('introspection of a JWT access token', () => {
  for (const resource of [API, `${API}/es256`]) {
    it(`answers with the claims of one that a client got for ${resource}`, async () => {
      const token = await tokenOfMachine(resource)
      assert.deepEqual(await introspect(token), {
        ...decodeJwt(token),
        active: true,
        token_type: 'Bearer',
      })
    })
  }

  it('answers with the claims of one that a person let a client have', async () => {
    const { tokens } = await tokensOfPerson()
    const answer = await introspect(tokens.access_token)
    assert.deepEqual([answer.active, answer.scope, answer.client_id], [true, 'read', 'web'])
    assert.equal(answer.sub, tokens.claims()?.sub)
    assert.equal(answer.aud, API)
  })

  it('says what the sender of a bound token must prove', async () => {
    const rp = await machine()
    const handle = client.getDPoPHandle(rp, await client.randomDPoPKeyPair('ES256'))
    const parameters = { resource: API, scope: 'read' }
    const tokens = await client.clientCredentialsGrant(rp, parameters, { DPoP: handle })
    const answer = await introspect(tokens.access_token)
    assert.equal(answer.token_type, 'DPoP')
    assert.deepEqual(answer.cnf, decodeJwt(tokens.access_token).cnf)
  })

  it('answers a public client about its own tokens alone', async () => {
    const { tokens } = await tokensOfPerson()
    const parameters = { client_id: 'tv', token: tokens.access_token }
    const answer = await fetch(`${keyturn.issuer}/token/introspection`, {
      method: 'POST',
      body: new URLSearchParams(parameters),
    })
    assert.deepEqual([answer.status, await answer.json()], [200, { active: false }])
  })

  it('answers programs that ask for HTML as it answers others', async () => {
    const token = await tokenOfMachine()
    const ask = (path: string) => post(path, { token }, { accept: 'text/html' })
    const { status, type, text } = await ask('/token/introspection')
    assert.deepEqual([status, JSON.parse(text).active], [200, true])
    assert.match(type, /^application\/json/)
    const revoked = await ask('/token/revocation')
    assert.deepEqual([revoked.status, revoked.text], [200, ''])
    assert.deepEqual(await introspect(token), { active: false })
  })

  it('answers nobody who does not prove who it is', async () => {
    const rp = await discoverAs(keyturn.issuer, 'machine', 'wrong')
    await assert.rejects(client.tokenIntrospection(rp, await tokenOfMachine()), { status: 401 })
  })

  it('knows a token through the rotation of its key, and no more once that is revoked', async () => {
    const token = await tokenOfMachine(`${API}/es256`)
    const { kid = '' } = decodeProtectedHeader(token)
    const order = { actor: 'test', reason: 'test' }
    const standby = keyturn.server.issuers[0].scheduler.status.view?.states.find(
      ({ key, phase }) => key.ring === 'sig/ES256' && phase === 'pre-active',
    )
    await operate(keyturn.config, (facts, policies, now) =>
      orderPromotion(facts, policies, { kid: standby?.key.kid ?? '', force: true, now, ...order }),
    )
    await keyturn.server.issuers[0].scheduler.runOnce()
    assert.notEqual(
      decodeProtectedHeader(await tokenOfMachine(`${API}/es256`)).kid,
      kid,
      'the ring has not turned',
    )
    assert.equal((await introspect(token)).active, true)
    await operate(keyturn.config, (facts, policies, now) =>
      orderRevocation(facts, policies, { kid, now, ...order }),
    )
    await keyturn.server.issuers[0].scheduler.runOnce()
    assert.deepEqual(await introspect(token), { active: false })
    assert.equal((await introspect(await tokenOfMachine(`${API}/es256`))).active, true)
  })

  it('knows a token no more once the person is disabled, the grant revoked or the client gone', async () => {
    const { rp, tokens } = await tokensOfPerson()
    const account = await stores.accounts.findById(tokens.claims()?.sub ?? '')
    assert.ok(account)
    await stores.accounts.change(account.id, () => ({ isDisabled: true }))
    assert.deepEqual(await introspect(tokens.access_token), { active: false })
    await stores.accounts.change(account.id, () => ({ isDisabled: false }))
    assert.equal((await introspect(tokens.access_token)).active, true)

    await client.tokenRevocation(rp, tokens.refresh_token ?? '')
    assert.deepEqual(await introspect(tokens.access_token), { active: false })

    const gone = { client_id: randomUUID(), client_secret: SECRET }
    const grants = { grant_types: ['client_credentials'], response_types: [], redirect_uris: [] }
    await stores.clients.add({ ...gone, ...grants, resources: { [API]: ['read'] } })
    const goner = await discoverAs(keyturn.issuer, gone.client_id)
    const parameters = { resource: API, scope: 'read' }
    const { access_token: token } = await client.clientCredentialsGrant(goner, parameters)
    assert.equal((await introspect(token)).active, true)
    await stores.clients.remove(gone.client_id)
    await until('it is seen', async () => !(await introspect(token)).active)
  })
})

describe('introspection of what is no access token of ours', () => {
  const now = () => systemClock.now()
  /** The key that signs, as only somebody with the key-encryption key can open it. */
  const signer = async (ring = RING): Promise<{ key: KeyObject; kid: string }> => {
    const { view } = keyturn.server.issuers[0].scheduler.status
    const kid = (view && signerOf(view, ring)?.key.kid) ?? ''
    const record = (await stores.keys.load()).keys.find(({ id }) => id === kid)
    const [kek] = await fileProtector(keyturn.config.seal.file).load()
    assert.ok(record && kek)
    const { plaintext } = await compactDecrypt(record.data, kek.secret)
    const key = JSON.parse(Buffer.from(plaintext).toString())
    return { key: createPrivateKey({ key, format: 'jwk' }), kid }
  }
  const claims = (changed: Record<string, unknown> = {}) => ({
    ...{ iss: keyturn.issuer, aud: API, sub: 'machine', client_id: 'machine', jti: randomUUID() },
    ...{ iat: now(), exp: now() + 60, scope: 'read' },
    ...changed,
  })
  const sign = async (
    changed: Record<string, unknown>,
    header: Record<string, unknown> = {},
    by?: { readonly key: KeyObject; readonly kid: string },
  ) => {
    const { key, kid } = by ?? (await signer())
    return new SignJWT(claims(changed))
      .setProtectedHeader({ alg: 'RS256', typ: 'at+jwt', kid, ...header })
      .sign(key)
  }
  const foreign = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
  const tampered = async () => {
    const [header, payload = '', signature] = (await tokenOfMachine()).split('.')
    const read = JSON.parse(Buffer.from(payload, 'base64url').toString())
    const written = Buffer.from(JSON.stringify({ ...read, scope: 'write' })).toString('base64url')
    return [header, written, signature].join('.')
  }

  it('is made by these tests as Keyturn would', async () => {
    assert.equal((await introspect(await sign({}))).active, true)
  })

  const tokens: Readonly<Record<string, () => Promise<string> | string>> = {
    'signed by somebody else under a kid of ours': async () =>
      sign({}, {}, { ...(await signer()), key: foreign }),
    'signed by a key that nobody knows': () => sign({}, {}, { kid: 'unknown', key: foreign }),
    'signed by a key of ours with another algorithm': () => sign({}, { alg: 'PS256' }),
    'that names no key': () => sign({}, { kid: undefined }),
    'changed on its way': tampered,
    'that has expired': () => sign({ exp: now() - 1 }),
    'that never expires': () => sign({ exp: undefined }),
    'of another issuer': () => sign({ iss: 'https://elsewhere.example' }),
    'for an API that nobody configured': () => sign({ aud: 'https://unknown.example' }),
    'for an API whose tokens are opaque': () => sign({ aud: `${API}/opaque` }),
    'with the type of something else': () => sign({}, { typ: 'logout+jwt' }),
    'without a type': () => sign({}, { typ: undefined }),
    'without jti': () => sign({ jti: undefined }),
    'of a client that does not exist': () => sign({ client_id: 'nobody', sub: 'nobody' }),
    'of a person, without the grant that it came of': () => sign({ sub: 'somebody' }),
    'of a grant that does not exist': () => sign({ sub: 'somebody', grant_id: 'nothing' }),
    'that is not signed': () => new UnsecuredJWT(claims()).encode(),
    'that is an ID token': async () => (await tokensOfPerson()).tokens.id_token ?? '',
    'that is a header and nothing else': () =>
      `${Buffer.from('{"alg":"RS256"}').toString('base64url')}..`,
    'with five parts': async () => `${await tokenOfMachine()}.a.b`,
    'without any order': () => 'a.b.c',
  }
  for (const [what, make] of Object.entries(tokens)) {
    it(`answers "not active" about a token ${what}`, async () => {
      const token = await make()
      for (const hint of [{}, { token_type_hint: 'access_token' }]) {
        const { status, text } = await post('/token/introspection', { token, ...hint })
        assert.deepEqual([status, JSON.parse(text)], [200, { active: false }])
      }
    })
    it(`takes the revocation of a token ${what}, which changes nothing`, async () => {
      const { status, text } = await post('/token/revocation', { token: await make() })
      assert.deepEqual([status, text], [200, ''])
    })
  }

  it('still refuses a request without a token', async () => {
    assert.equal((await post('/token/introspection', {})).status, 400)
  })
})

describe('revocation of a JWT access token', () => {
  it('makes it inactive at every node, and no other', async () => {
    const [token, another] = [await tokenOfMachine(), await tokenOfMachine()]
    await client.tokenRevocation(await machine(), token)
    assert.deepEqual(await introspect(token), { active: false })
    const { text } = await post('/token/introspection', { token }, { at: other.url })
    assert.deepEqual(JSON.parse(text), { active: false })
    assert.equal((await introspect(another)).active, true)
    const again = await post('/token/revocation', { token })
    assert.deepEqual([again.status, again.text], [200, ''], 'as RFC 7009, section 2.2 has it')
  })

  it('is not undone when the client that got it is removed and added again', async () => {
    const id = randomUUID()
    const metadata = {
      ...{ client_id: id, client_secret: SECRET, grant_types: ['client_credentials'] },
      ...{ response_types: [], redirect_uris: [], resources: { [API]: ['read'] } },
    }
    await stores.clients.add(metadata)
    const rp = await discoverAs(keyturn.issuer, id)
    const parameters = { resource: API, scope: 'read' }
    const { access_token: token } = await client.clientCredentialsGrant(rp, parameters)
    await client.tokenRevocation(rp, token)
    await stores.clients.remove(id)
    await stores.clients.add(metadata)
    assert.deepEqual(await introspect(token), { active: false })
  })

  it('takes the refresh token of the grant along, as that of an opaque one does', async () => {
    for (const resource of [API, `${API}/opaque`]) {
      const { rp, tokens } = await tokensOfPerson(resource)
      await client.tokenRevocation(rp, tokens.access_token)
      await assert.rejects(client.refreshTokenGrant(rp, tokens.refresh_token ?? ''), {
        error: 'invalid_grant',
      })
    }
  })

  it('is refused to a client that did not get it', async () => {
    const token = await tokenOfMachine()
    const { status, text } = await post('/token/revocation', { token }, { by: 'web' })
    assert.deepEqual([status, JSON.parse(text).error], [400, 'invalid_request'])
    assert.equal((await introspect(token)).active, true)
    const parameters = { client_id: 'tv', token }
    const answer = await fetch(`${keyturn.issuer}/token/revocation`, {
      method: 'POST',
      body: new URLSearchParams(parameters),
    })
    assert.equal(answer.status, 200, 'to a public client, tokens of others do not exist')
    assert.equal((await introspect(token)).active, true)
  })
})
