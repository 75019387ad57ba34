import assert from 'node:assert/strict'
import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { after, before, describe, it, mock } from 'node:test'
import {
  type CryptoKey,
  decodeJwt,
  decodeProtectedHeader,
  exportJWK,
  generateKeyPair,
  importPKCS8,
  type JWK,
  SignJWT,
} from 'jose'
import * as client from 'openid-client'
import { pino } from 'pino'
import { discoverAs } from '../../lab/relying-party.ts'
import {
  API,
  CLIENTS,
  PERSON,
  REDIRECT_URI,
  startTestServer,
  type TestServer,
  testSettings,
} from '../../lab/server.ts'
import { temporaryFolder } from '../../lab/temporary.ts'
import { createUserAgent, signIn } from '../../lab/user-agent.ts'
import { systemClock } from '../../src/clock.ts'
import { startServer } from '../../src/server/server.ts'
import { openStores } from '../../src/server/stores.ts'

/**
 * The FAPI 2.0 Security Profile (final) with openid-client: private_key_jwt, pushed requests, PKCE, DPoP.
 * Each refusal is of a request that differs in one thing from one that is taken.
 */

const SCOPE = 'openid profile offline_access'
/** Seconds, longer than the profile lets a code live. */
const CODE = 300
const ES256_API = `${API}/es256`

let keyturn: TestServer
let ec: CryptoKey
let rsaPss: CryptoKey
let rsaPkcs1: CryptoKey
/** A client that the profile has nothing against. */
let keys: Readonly<Record<string, unknown>>
before(async () => {
  mock.timers.enable({ apis: ['Date'], now: Date.now() })
  const pair = await generateKeyPair('ES256', { extractable: true })
  ec = pair.privateKey
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const pem = rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  ;[rsaPss, rsaPkcs1] = await Promise.all([importPKCS8(pem, 'PS256'), importPKCS8(pem, 'RS256')])
  const jwks: { keys: JWK[] } = {
    keys: [await exportJWK(pair.publicKey), rsa.publicKey.export({ format: 'jwk' })],
  }
  keys = {
    application_type: 'native',
    redirect_uris: [REDIRECT_URI],
    grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
    scope: SCOPE,
    token_endpoint_auth_method: 'private_key_jwt',
    jwks,
    id_token_signed_response_alg: 'ES256',
    resources: { [ES256_API]: ['read'] },
  }
  keyturn = await startTestServer({
    settings: {
      clients: [
        { ...keys, client_id: 'bank', profile: 'fapi2' },
        { ...keys, client_id: 'shop' },
        ...CLIENTS,
      ],
      tokens: { authorizationCode: `${CODE}s` },
    },
  })
})
after(async () => {
  await keyturn[Symbol.asyncDispose]()
  mock.timers.reset()
})

interface RelyingPartyOptions {
  readonly id?: string
  readonly key?: CryptoKey
  /** Changes the payload of assertions before they are signed. */
  readonly assertion?: (payload: Record<string, unknown>) => void
  /** Takes signed authorization responses. */
  readonly isSigned?: boolean
}

async function relyingParty(options: RelyingPartyOptions = {}, issuer = keyturn.issuer) {
  const { id = 'bank', key = ec, assertion, isSigned = false } = options
  const modify = assertion && {
    [client.modifyAssertion]: (_: object, payload: Record<string, unknown>) => assertion(payload),
  }
  const metadata = {
    id_token_signed_response_alg: 'ES256',
    ...(isSigned ? { authorization_signed_response_alg: 'ES256' } : {}),
  }
  const rp = await client.discovery(
    new URL(issuer),
    id,
    metadata,
    client.PrivateKeyJwt(key, modify),
    { execute: [client.allowInsecureRequests, ...(isSigned ? [client.useJwtResponseMode] : [])] },
  )
  const DPoP = client.getDPoPHandle(rp, await client.randomDPoPKeyPair('ES256'))
  return { rp, DPoP }
}

type RelyingParty = Awaited<ReturnType<typeof relyingParty>>

async function request(more: Record<string, string | undefined> = {}) {
  const verifier = client.randomPKCECodeVerifier()
  const parameters = {
    redirect_uri: REDIRECT_URI,
    scope: SCOPE,
    prompt: 'consent',
    state: client.randomState(),
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    ...more,
  }
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined)
  return { verifier, parameters: Object.fromEntries(given) as Record<string, string> }
}

/** A person signs in by a pushed request. */
async function signInTo({ rp, DPoP }: RelyingParty, more: Record<string, string> = {}) {
  const { verifier, parameters } = await request(more)
  const url = await client.buildAuthorizationUrlWithPAR(rp, parameters, { DPoP })
  const { callback } = await signIn(createUserAgent(), url.href, PERSON)
  const checks = {
    pkceCodeVerifier: verifier,
    ...(parameters.state ? { expectedState: parameters.state } : {}),
  }
  const redeem = (options: client.DPoPOptions = { DPoP }) =>
    client.authorizationCodeGrant(rp, callback, checks, undefined, options)
  return { callback, redeem }
}

/** A resource server asks for a signed answer (RFC 9701). */
async function algorithmOfIntrospection(rp: client.Configuration, id: string, token: string) {
  const { issuer, introspection_endpoint: endpoint = '' } = rp.serverMetadata()
  const now = Math.floor(Date.now() / 1000)
  const assertion = await new SignJWT({ iss: id, sub: id, aud: issuer, jti: randomUUID() })
    .setProtectedHeader({ alg: 'ES256' })
    .setIssuedAt(now)
    .setExpirationTime(now + 60)
    .sign(ec)
  const answer = await fetch(endpoint, {
    method: 'POST',
    headers: { accept: 'application/token-introspection+jwt' },
    body: new URLSearchParams({
      token,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: assertion,
    }),
  })
  return decodeProtectedHeader(await answer.text()).alg
}

const push = async (party: RelyingParty, more: Record<string, string | undefined> = {}) =>
  client.buildAuthorizationUrlWithPAR(party.rp, (await request(more)).parameters)

describe('a client whose profile is fapi2', () => {
  it('signs people in by pushed requests, with keys, PKCE and bound tokens', async () => {
    const party = await relyingParty()
    const { callback, redeem } = await signInTo(party)
    assert.equal(callback.searchParams.get('iss'), keyturn.issuer)
    const tokens = await redeem()
    assert.equal(tokens.token_type, 'dpop')
    assert.equal(decodeProtectedHeader(tokens.id_token ?? '').alg, 'ES256')
    const { rp, DPoP } = party
    const sub = tokens.claims()?.sub ?? ''
    const person = await client.fetchUserInfo(rp, tokens.access_token, sub, { DPoP })
    assert.equal(person.name, 'Ada Lovelace')
    await assert.rejects(client.fetchUserInfo(rp, tokens.access_token, sub), 'as a bearer token')
  })

  for (const [what, key] of [
    ['PS256', () => rsaPss],
    ['ES256', () => ec],
  ] as const) {
    it(`proves itself with ${what}`, async () => {
      assert.ok(await push(await relyingParty({ key: key() })))
    })
  }

  it('is refused an assertion that is signed with RS256, which others may use', async () => {
    const key = rsaPkcs1
    await assert.rejects(push(await relyingParty({ key })), { error: 'invalid_client' })
    assert.ok(await push(await relyingParty({ id: 'shop', key })))
  })

  const audiences: Readonly<Record<string, (issuer: string) => unknown>> = {
    'the token endpoint': (issuer) => `${issuer}/token`,
    'the endpoint that it is sent to': (issuer) => `${issuer}/request`,
    'a list with the token endpoint': (issuer) => [issuer, `${issuer}/token`],
    'a list of the issuer alone': (issuer) => [issuer],
    'somebody else': () => 'https://elsewhere.example',
  }
  for (const [what, audience] of Object.entries(audiences)) {
    it(`is refused an assertion whose aud is ${what}`, async () => {
      const assertion = (payload: Record<string, unknown>) => {
        payload.aud = audience(keyturn.issuer)
      }
      await assert.rejects(push(await relyingParty({ assertion })), { error: 'invalid_client' })
      const { rp, DPoP } = await relyingParty({ assertion })
      const parameters = { resource: ES256_API, scope: 'read' }
      await assert.rejects(client.clientCredentialsGrant(rp, parameters, { DPoP }), {
        error: 'invalid_client',
      })
    })
  }

  it('leaves other clients the audiences that RFC 7523 lets them have', async () => {
    const assertion = (payload: Record<string, unknown>) => {
      payload.aud = [keyturn.issuer, `${keyturn.issuer}/token`]
    }
    assert.ok(await push(await relyingParty({ id: 'shop', assertion })))
  })

  it('is refused an assertion that was used before', async () => {
    const jti = randomUUID()
    const assertion = (payload: Record<string, unknown>) => {
      payload.jti = jti
    }
    const party = await relyingParty({ assertion })
    assert.ok(await push(party))
    await assert.rejects(push(party), { error: 'invalid_client' })
  })

  it('is refused a request without PKCE, or with plain, or without its redirect URI', async () => {
    const party = await relyingParty()
    const error = { error: 'invalid_request' }
    const without = { code_challenge: undefined, code_challenge_method: undefined }
    await assert.rejects(push(party, without), error)
    await assert.rejects(push(party, { code_challenge_method: 'plain' }), error)
    await assert.rejects(push(party, { redirect_uri: undefined }), error)
    assert.ok(await push(await relyingParty({ id: 'shop' }), without), 'as others may do')
  })

  it('is refused a request that was not pushed', async () => {
    const { rp } = await relyingParty()
    const { parameters } = await request()
    const url = client.buildAuthorizationUrl(rp, parameters)
    const { url: end } = await createUserAgent().open(url.href, keyturn.issuer)
    assert.equal(new URL(end).searchParams.get('error'), 'invalid_request')
    const { rp: other } = await relyingParty({ id: 'shop' })
    const open = client.buildAuthorizationUrl(other, parameters)
    const { callback } = await signIn(createUserAgent(), open.href, PERSON)
    assert.ok(callback.searchParams.get('code'), 'as others may do')
  })

  it('is refused tokens without a proof, whatever it asks for', async () => {
    const party = await relyingParty()
    const { redeem } = await signInTo(party)
    await assert.rejects(redeem({}), { error: /invalid_(grant|dpop_proof|request)/ })
    const parameters = { resource: ES256_API, scope: 'read' }
    await assert.rejects(client.clientCredentialsGrant(party.rp, parameters))
    const tokens = await client.clientCredentialsGrant(party.rp, parameters, party)
    assert.ok((decodeJwt(tokens.access_token).cnf as { jkt?: string }).jkt)
  })

  it('is refused a code with the proof of another key than the request came with', async () => {
    const party = await relyingParty()
    const { redeem } = await signInTo(party)
    const pair = await client.randomDPoPKeyPair('ES256')
    await assert.rejects(redeem({ DPoP: client.getDPoPHandle(party.rp, pair) }), {
      error: 'invalid_grant',
    })
  })

  it('keeps its refresh token, which goes on working', async () => {
    const { rp, DPoP } = await relyingParty()
    const tokens = await (await signInTo({ rp, DPoP })).redeem()
    const refreshToken = tokens.refresh_token ?? ''
    assert.ok(refreshToken)
    for (const _ of [1, 2, 3]) {
      const next = await client.refreshTokenGrant(rp, refreshToken, undefined, { DPoP })
      assert.ok([undefined, refreshToken].includes(next.refresh_token))
      assert.equal(next.token_type, 'dpop')
    }
  })

  it('has its code for 60 s, and no other client is hurried', async () => {
    for (const [id, isGood] of [
      ['bank', false],
      ['shop', true],
    ] as const) {
      const { redeem } = await signInTo(await relyingParty({ id }))
      mock.timers.setTime(Date.now() + 62_000)
      await keyturn.server.issuers[0].scheduler.runAgain()
      if (isGood) assert.ok((await redeem()).access_token)
      else await assert.rejects(redeem(), { error: 'invalid_grant' })
    }
  })

  it('gets signed responses by an algorithm of the profile, though it names none', async () => {
    const { callback, redeem } = await signInTo(await relyingParty({ isSigned: true }))
    const response = callback.searchParams.get('response') ?? ''
    assert.equal(decodeProtectedHeader(response).alg, 'ES256')
    assert.ok((await redeem()).access_token)
  })

  it('is not what a client is that does not ask for it', async () => {
    const web = await discoverAs(keyturn.issuer, 'web')
    const { verifier, parameters } = await request()
    const url = client.buildAuthorizationUrl(web, parameters)
    const { callback } = await signIn(createUserAgent(), url.href, PERSON)
    const tokens = await client.authorizationCodeGrant(web, callback, {
      pkceCodeVerifier: verifier,
      expectedState: parameters.state ?? '',
    })
    assert.equal(tokens.token_type, 'bearer')
  })
})

describe('a server whose profile is fapi2', () => {
  const resources = [{ identifier: ES256_API, scopes: ['read'], algorithm: 'ES256' }]
  const settings = () => ({
    profile: 'fapi2',
    resources,
    clients: [{ ...keys, client_id: 'bank' }],
  })

  it('holds clients to it that do not ask for it, and says so in discovery', async () => {
    await using server = await startTestServer({ settings: settings() })
    const party = await relyingParty({}, server.issuer)
    const said = party.rp.serverMetadata()
    assert.deepEqual(said.token_endpoint_auth_methods_supported, ['private_key_jwt'])
    assert.deepEqual(said.token_endpoint_auth_signing_alg_values_supported, [
      ...['PS256', 'ES256', 'EdDSA', 'Ed25519'],
    ])
    assert.equal(said.require_pushed_authorization_requests, true)
    for (const kind of ['id_token', 'userinfo', 'introspection', 'authorization'] as const) {
      assert.deepEqual(said[`${kind}_signing_alg_values_supported`], ['ES256'], kind)
    }
    const { redeem } = await signInTo(party)
    const tokens = await redeem()
    assert.equal(tokens.token_type, 'dpop')
    const { code_challenge_method: method, ...without } = (await request()).parameters
    assert.equal(method, 'S256')
    const { code_challenge: _, ...plain } = without
    await assert.rejects(client.buildAuthorizationUrlWithPAR(party.rp, plain), {
      error: 'invalid_request',
    })
  })

  it('signs the answers for which a client names no algorithm as its ID tokens', async () => {
    const rings = { 'sig/PS256': {}, 'sig/ES256': {} }
    const named = { authorization_signed_response_alg: 'PS256' }
    const clients = [
      { ...keys, client_id: 'bank' },
      { ...keys, client_id: 'other', ...named },
    ]
    await using server = await startTestServer({
      settings: { ...settings(), clients, rotation: { rings } },
    })
    for (const [id, algorithm] of [
      ['bank', 'ES256'],
      ['other', 'PS256'],
    ] as const) {
      const party = await relyingParty({ id }, server.issuer)
      const { callback } = await signInTo(party, { response_mode: 'jwt' })
      const response = callback.searchParams.get('response') ?? ''
      assert.equal(decodeProtectedHeader(response).alg, algorithm)
      const { rp, DPoP } = party
      const parameters = { resource: ES256_API, scope: 'read' }
      const tokens = await client.clientCredentialsGrant(rp, parameters, { DPoP })
      assert.equal(await algorithmOfIntrospection(rp, id, tokens.access_token), 'ES256')
    }
  })

  it('does not start with a client in its database that does not meet it', async () => {
    await using folder = await temporaryFolder()
    const config = await testSettings(folder.path, settings())
    const stores = (await openStores(config, systemClock)).of(config.issuer)
    await stores.clients.add({ ...keys, client_id: 'fine', jwks: keys.jwks })
    await stores.close()
    const log = pino({ level: 'silent' })
    await (await startServer(config, { log })).close()
    const again = (await openStores(config, systemClock)).of(config.issuer)
    await again.clients.add({ client_id: 'old', redirect_uris: ['https://old.example/cb'] })
    await again.close()
    await assert.rejects(startServer(config, { log }), (error: Error & { code: string }) => {
      assert.equal(error.code, 'client_unmet_profile')
      assert.match(error.message, /Client old does not meet the profile of the server, fapi2/)
      assert.match(error.message, /token_endpoint_auth_method: it is client_secret_basic/)
      return true
    })
  })
})
