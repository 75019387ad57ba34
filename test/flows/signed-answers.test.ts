import assert from 'node:assert/strict'
import { after, before, describe, it, mock } from 'node:test'
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose'
import * as client from 'openid-client'
import { authorizationRequest } from '../../lab/relying-party.ts'
import {
  API,
  CLIENTS,
  PERSON,
  REDIRECT_URI,
  SECRET,
  startTestServer,
  type TestServer,
} from '../../lab/server.ts'
import { createUserAgent, signIn } from '../../lab/user-agent.ts'

/**
 * What Keyturn signs besides tokens: userinfo (OIDC Core, section 5.3.2), answers to introspection
 * (RFC 9701) and authorization responses (JARM), by the keys of its rings, through a switch of them. The
 * RPs are openid-client, which verifies each of them, and jose; both keep the JWKS for a while.
 */

const INTROSPECTION = 'application/token-introspection+jwt'

const signed = {
  ...CLIENTS[0],
  client_id: 'signed',
  userinfo_signed_response_alg: 'ES256',
  introspection_signed_response_alg: 'ES256',
  authorization_signed_response_alg: 'ES256',
}

let keyturn: TestServer
before(async () => {
  mock.timers.enable({ apis: ['Date'], now: Date.now() })
  keyturn = await startTestServer({ settings: { clients: [...CLIENTS, signed] } })
})
after(async () => {
  await keyturn[Symbol.asyncDispose]()
  mock.timers.reset()
})

/** Verifies all that is signed. */
function discoverStrictly(id: string, algorithm: string): Promise<client.Configuration> {
  const metadata = {
    client_secret: SECRET,
    ...(id === 'signed' ? { userinfo_signed_response_alg: algorithm } : {}),
    introspection_signed_response_alg: algorithm,
    authorization_signed_response_alg: algorithm,
  }
  const { allowInsecureRequests, enableNonRepudiationChecks, useJwtResponseMode } = client
  const execute = [allowInsecureRequests, enableNonRepudiationChecks, useJwtResponseMode]
  return client.discovery(new URL(keyturn.issuer), id, metadata, undefined, { execute })
}

const basic = (id: string) => `Basic ${Buffer.from(`${id}:${SECRET}`).toString('base64')}`

/** A signed answer to introspection, as it comes. */
async function introspect(token: string, id = 'signed', accept = INTROSPECTION): Promise<Response> {
  return fetch(`${keyturn.issuer}/token/introspection`, {
    method: 'POST',
    headers: { authorization: basic(id), accept },
    body: new URLSearchParams({ token }),
  })
}

interface Signed {
  readonly userinfo: string
  readonly introspection: string
  readonly introspectionOfJwt: string
  readonly authorization: string
}

/** A person signs in to `signed`; the library verifies what it is given on the way. */
async function collect(rp: client.Configuration): Promise<Signed> {
  const wishes = { scope: 'openid profile' }
  const { url, redeem } = await authorizationRequest(rp, wishes)
  const { callback } = await signIn(createUserAgent(), url, PERSON)
  const tokens = await redeem(callback)
  const { access_token: token } = tokens
  const person = await client.fetchUserInfo(rp, token, tokens.claims()?.sub ?? '')
  assert.equal(person.name, 'Ada Lovelace')
  assert.equal((await client.tokenIntrospection(rp, token)).active, true)

  const headers = { authorization: `Bearer ${token}` }
  const userinfo = await fetch(`${keyturn.issuer}/userinfo`, { headers })
  assert.match(userinfo.headers.get('content-type') ?? '', /^application\/jwt/)
  const parameters = { grant_type: 'client_credentials', resource: API, scope: 'read' }
  const jwt = await fetch(`${keyturn.issuer}/token`, {
    method: 'POST',
    headers: { authorization: basic('machine') },
    body: new URLSearchParams(parameters),
  })
  // Its type is unknown to fetch: the access token is text.
  const { access_token: jwtToken } = (await jwt.json()) as { access_token: string }
  return {
    userinfo: await userinfo.text(),
    introspection: await (await introspect(token)).text(),
    introspectionOfJwt: await (await introspect(jwtToken)).text(),
    authorization: callback.searchParams.get('response') ?? '',
  }
}

/** Time passes, and the server turns its ring as it would. */
async function passTo(at: number): Promise<void> {
  mock.timers.setTime(at * 1000)
  await keyturn.server.issuers[0].scheduler.runAgain()
}

describe('what is signed besides tokens', () => {
  it('verifies at relying parties through a switch of keys', async () => {
    const rp = await discoverStrictly('signed', 'ES256')
    const jwks = createRemoteJWKSet(new URL(`${keyturn.issuer}/jwks`))
    const verify = async (answers: Signed) => {
      for (const [kind, answer] of Object.entries(answers)) {
        const { payload, protectedHeader } = await jwtVerify(answer, jwks, {
          issuer: keyturn.issuer,
          audience: 'signed',
        })
        assert.equal(protectedHeader.alg, 'ES256', kind)
        assert.ok(kind.startsWith('introspection') || payload.exp, kind)
      }
    }
    const kids = (answers: Signed) => [
      ...new Set(Object.values(answers).map((answer) => decodeProtectedHeader(answer).kid)),
    ]

    const standby = keyturn.server.issuers[0].scheduler.status.view?.states.find(
      ({ key, phase }) => key.ring === 'sig/ES256' && phase === 'pre-active',
    )
    assert.ok(standby)
    const { activatesAt, key } = standby
    for (const at of [activatesAt - 1000, activatesAt - 1]) await passTo(at)
    const last = await collect(rp)
    await verify(last)
    await passTo(activatesAt)
    const first = await collect(rp)
    await verify(last)
    await verify(first)
    assert.deepEqual(kids(first), [key.kid])
    assert.notDeepEqual(kids(last), kids(first), 'the ring has not turned')
    assert.equal(kids(last).length, 1)
  })

  it('says what it would say unsigned', async () => {
    const rp = await discoverStrictly('signed', 'ES256')
    const { userinfo, introspection, introspectionOfJwt } = await collect(rp)
    assert.equal(decodeJwt(userinfo).name, 'Ada Lovelace')
    for (const [answer, of] of [
      [introspection, 'signed'],
      [introspectionOfJwt, 'machine'],
    ] as const) {
      assert.equal(decodeProtectedHeader(answer).typ, 'token-introspection+jwt')
      const told = decodeJwt(answer).token_introspection as Record<string, unknown>
      assert.deepEqual([told.active, told.client_id], [true, of])
    }
  })

  it('ends as soon as the access token that userinfo is asked with', async () => {
    const rp = await discoverStrictly('signed', 'ES256')
    const { userinfo, introspection } = await collect(rp)
    const told = decodeJwt(introspection).token_introspection as { exp: number }
    assert.ok((decodeJwt(userinfo).exp ?? Infinity) <= told.exp)
  })

  it('is named in discovery, with the algorithms that can sign', async () => {
    const document = await fetch(`${keyturn.issuer}/.well-known/openid-configuration`)
    // The names of OIDC Discovery 1.0, RFC 9701 and JARM.
    const said = (await document.json()) as Record<string, readonly string[]>
    for (const kind of ['id_token', 'userinfo', 'introspection', 'authorization']) {
      assert.deepEqual(said[`${kind}_signing_alg_values_supported`], ['RS256', 'ES256'], kind)
    }
    assert.deepEqual(said.response_modes_supported?.toSorted(), [
      ...['form_post', 'form_post.jwt', 'fragment', 'fragment.jwt', 'jwt', 'query', 'query.jwt'],
    ])
  })
})

describe('an answer to introspection', () => {
  it('is signed only for those who ask for that', async () => {
    const plain = await introspect('unknown', 'signed', 'application/json')
    assert.deepEqual(await plain.json(), { active: false })
    const token = 'x.y.z'
    for (const id of ['signed', 'web']) {
      const answer = await introspect(token, id)
      assert.match(
        answer.headers.get('content-type') ?? '',
        /^application\/token-introspection\+jwt/,
      )
      const text = await answer.text()
      assert.deepEqual(decodeJwt(text).token_introspection, { active: false })
      assert.equal(decodeProtectedHeader(text).alg, id === 'signed' ? 'ES256' : 'RS256')
    }
  })
})

describe('a signed authorization response', () => {
  async function respondTo(mode: string, id: string) {
    const rp = await discoverStrictly(id, id === 'signed' ? 'ES256' : 'RS256')
    const agent = createUserAgent()
    const { url: first } = await authorizationRequest(rp)
    await signIn(agent, first, PERSON)
    const { url, redeem } = await authorizationRequest(rp)
    const asked = new URL(url)
    // The library asks for jwt.
    asked.searchParams.set('response_mode', mode)
    const { url: end, page } = await agent.open(asked.href, keyturn.issuer)
    return { redeem, end, text: (await page?.text()) ?? '' }
  }

  for (const mode of ['jwt', 'query.jwt', 'fragment.jwt', 'form_post.jwt']) {
    for (const id of ['signed', 'web']) {
      it(`brings a code to ${id} by response_mode=${mode}`, async () => {
        const { redeem, end, text } = await respondTo(mode, id)
        const [, posted] = /name="response" value="([^"]+)"/.exec(text) ?? []
        const response = posted ?? /[?#]response=([^&]+)/.exec(end)?.[1]
        assert.ok(response, `nothing in ${end}\n${text}`)
        assert.equal(end.includes('#'), mode === 'fragment.jwt')
        assert.equal(posted !== undefined, mode === 'form_post.jwt')
        assert.equal(decodeProtectedHeader(response).alg, id === 'signed' ? 'ES256' : 'RS256')
        const { iss, aud, exp = 0, code } = decodeJwt(response)
        assert.deepEqual([iss, aud], [keyturn.issuer, id])
        assert.ok(exp <= Date.now() / 1000 + 120)
        assert.ok(code)
        const tokens = await redeem(new URL(`${REDIRECT_URI}?response=${response}`))
        assert.ok(tokens.id_token)
      })
    }
  }

  it('tells of a refusal as well', async () => {
    const rp = await discoverStrictly('signed', 'ES256')
    const { url, redeem } = await authorizationRequest(rp, { prompt: 'none' })
    const { url: end } = await createUserAgent().open(url, keyturn.issuer)
    await assert.rejects(redeem(new URL(end)), { error: 'login_required' })
  })
})

describe('a deployment without RS256', () => {
  it('signs what a client names no algorithm for with a ring that it has', async () => {
    const own = { client_id: 'signed', id_token_signed_response_alg: 'ES256', resources: {} }
    const clients = [{ ...CLIENTS[0], ...own }]
    const settings = {
      clients,
      resources: [],
      rotation: { rings: { 'sig/ES256': {} } },
    }
    await using es256 = await startTestServer({ settings })
    const metadata = { client_secret: SECRET, authorization_signed_response_alg: 'ES256' }
    const execute = [client.allowInsecureRequests, client.useJwtResponseMode]
    const rp = await client.discovery(new URL(es256.issuer), 'signed', metadata, undefined, {
      execute,
    })
    const { url, redeem } = await authorizationRequest(rp)
    const { callback } = await signIn(createUserAgent(), url, PERSON)
    assert.ok((await redeem(callback)).id_token)
  })
})
