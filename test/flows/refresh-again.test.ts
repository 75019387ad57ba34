import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import Sqlite from 'better-sqlite3-napi'
import { decodeJwt } from 'jose'
import * as client from 'openid-client'
import { authorizationRequest, discoverAs } from '../../lab/relying-party.ts'
import { API, CLIENTS, PERSON, REDIRECT_URI, SECRET } from '../../lab/server.ts'
import { createUserAgent, signIn } from '../../lab/user-agent.ts'
import { type Answer, firstToken, refresh, tokens } from '../conformance/refresh.ts'
import { startTestNodes, type TestNodes } from '../support/nodes.ts'

/** A refresh token that comes again within the leeway, with something else than before. */

const PUBLIC = {
  client_id: 'native',
  application_type: 'native',
  token_endpoint_auth_method: 'none',
  redirect_uris: [REDIRECT_URI],
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  // Those with DPoP would keep theirs.
  refresh_token_rotation: 'always',
}

let nodes: TestNodes
before(async () => {
  nodes = await startTestNodes({
    clients: [...CLIENTS, PUBLIC],
    tokens: { refreshTokenRotation: 'always' },
  })
})
after(() => nodes?.[Symbol.asyncDispose]())

const again = async (
  token: string,
  first: Readonly<Record<string, string>>,
  second: Readonly<Record<string, string>>,
) => [await refresh(nodes.urls[0], token, first), await refresh(nodes.urls[1], token, second)]

const nextOf = (answer: Answer | undefined) => answer?.body.refresh_token ?? ''

describe('a refresh token that comes again within the leeway', () => {
  it('gives who asks for a token of an API that, and the same next refresh token', async () => {
    const scope = 'openid offline_access read'
    for (const [first, second] of [
      [{}, { resource: API }],
      [{ resource: API }, {}],
      [{ resource: API }, { resource: `${API}/opaque` }],
    ] as const) {
      const resources = new URLSearchParams([
        ['resource', API],
        ['resource', `${API}/opaque`],
      ])
      const token = await tokenFor(scope, resources)
      const answers = await again(token, { ...first }, { ...second })
      assert.deepEqual(
        answers.map(({ status }) => status),
        [200, 200],
      )
      assert.equal(nextOf(answers[0]), nextOf(answers[1]))
      assert.notEqual(answers[0]?.body.access_token, answers[1]?.body.access_token)
      assert.equal((await refresh(nodes.urls[0], nextOf(answers[1]))).status, 200)
    }
  })

  it('gives two who ask for different things at once both, and one next refresh token', async () => {
    const scope = 'openid offline_access read'
    let token = await tokenFor(scope, new URLSearchParams({ resource: API }))
    for (let times = 0; times < 10; times++) {
      const [one, other] = await Promise.all([
        refresh(nodes.urls[0], token, { resource: API }),
        refresh(nodes.urls[1], token, { scope: 'openid' }),
      ])
      assert.deepEqual([one?.status, other?.status], [200, 200])
      assert.equal(nextOf(one), nextOf(other))
      assert.equal(decodeJwt(one?.body.access_token ?? '').aud, API)
      assert.notEqual(one?.body.access_token, other?.body.access_token)
      token = nextOf(one)
    }
  })

  it('gives who asks for fewer scopes those, and who names the same in another order the same', async () => {
    const token = await firstToken(nodes.issuer, { scope: 'openid profile email offline_access' })
    const [all, fewer] = await again(
      token,
      { scope: 'openid profile email' },
      { scope: 'openid email' },
    )
    assert.equal(nextOf(all), nextOf(fewer))
    assert.notEqual(all?.body.access_token, fewer?.body.access_token)
    const same = await refresh(nodes.urls[0], token, { scope: 'email profile openid' })
    assert.ok(all)
    assert.deepEqual(tokens(same), tokens(all))
  })

  it('gives nothing to another client, nor to one that does not prove who it is, and costs its owner nothing', async () => {
    const token = await firstToken(nodes.issuer)
    const owner = await refresh(nodes.urls[0], token)
    for (const authorization of [`web-es256:${SECRET}`, 'web:wrong', `unknown:${SECRET}`]) {
      const response = await fetch(`${nodes.issuer}/token`, {
        method: 'POST',
        headers: { authorization: `Basic ${btoa(authorization)}` },
        body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: token }),
      })
      assert.ok([400, 401].includes(response.status))
    }
    assert.equal((await refresh(nodes.urls[0], nextOf(owner))).status, 200)
  })

  it('gives a public client that has the same DPoP key the same, and nothing to who has another', async () => {
    const rp = await discoverAs(nodes.issuer, 'native', client.None())
    const [own, foreign] = [await dpop(rp), await dpop(rp)]
    const { url, redeem } = await authorizationRequest(rp, {
      scope: 'openid offline_access',
      prompt: 'consent',
    })
    const { callback } = await signIn(createUserAgent(), url, PERSON)
    const first = await redeem(callback, {}, {}, { DPoP: own })
    const token = first.refresh_token ?? ''
    const one = await client.refreshTokenGrant(rp, token, {}, { DPoP: own })
    await assert.rejects(client.refreshTokenGrant(rp, token, {}, { DPoP: foreign }))
    await assert.rejects(client.refreshTokenGrant(rp, token))
    const same = await client.refreshTokenGrant(rp, token, {}, { DPoP: own })
    assert.equal(same.access_token, one.access_token)
    assert.equal(same.refresh_token, one.refresh_token)
    await client.refreshTokenGrant(rp, same.refresh_token ?? '', {}, { DPoP: own })
  })

  it('gives a confidential client with another DPoP key an access token that is bound to that', async () => {
    const rp = await discoverAs(nodes.issuer, 'web')
    const token = await tokenFor(
      'openid offline_access read',
      new URLSearchParams({ resource: API }),
    )
    const bound = await client.refreshTokenGrant(
      rp,
      token,
      { resource: API },
      { DPoP: await dpop(rp) },
    )
    const other = await client.refreshTokenGrant(
      rp,
      token,
      { resource: API },
      { DPoP: await dpop(rp) },
    )
    const unbound = await client.refreshTokenGrant(rp, token, { resource: API })
    const keys = [bound, other, unbound].map(
      ({ access_token }) => (decodeJwt(access_token).cnf as { jkt?: string } | undefined)?.jkt,
    )
    assert.equal(new Set(keys).size, 3)
    assert.equal(keys[2], undefined)
    const next = new Set([bound, other, unbound].map((answer) => answer.refresh_token))
    assert.equal(next.size, 1)
  })

  it('says how long the access token has left', async () => {
    const token = await firstToken(nodes.issuer)
    const lifetime = async () => {
      const { body } = await refresh(nodes.urls[0], token)
      return (body as { expires_in?: number }).expires_in ?? 0
    }
    const whole = await lifetime()
    nodes.pass(5)
    const left = await lifetime()
    assert.ok(left <= whole - 5 && left > whole - 10, `${left} of ${whole}`)
  })

  it('has its leeway from the first answer on, however often it comes', async () => {
    const token = await firstToken(nodes.issuer)
    await refresh(nodes.urls[0], token)
    nodes.pass(6)
    assert.equal((await refresh(nodes.urls[0], token)).status, 200)
    nodes.pass(6)
    assert.equal((await refresh(nodes.urls[0], token)).body.error, 'invalid_grant')
  })

  it('leaves nothing in the store that its reader could use', async () => {
    const token = await firstToken(nodes.issuer)
    const answer = await refresh(nodes.urls[0], token)
    const database = new Sqlite(join(nodes.folder, 'keyturn.db'), { readonly: true })
    const rows = database.prepare<[], { model: string }>('SELECT * FROM artifact').all()
    database.close()
    assert.ok(rows.some(({ model }) => model === 'RefreshAnswer'))
    const text = JSON.stringify(rows)
    for (const secret of [token, ...tokens(answer)]) assert.ok(!text.includes(String(secret)))
  })
})

describe('a refresh', () => {
  it('gives an ID token without nonce (OIDC Core 1.0, section 12.2)', async () => {
    const rp = await discoverAs(nodes.issuer, 'web')
    const nonce = client.randomNonce()
    const wishes = { scope: 'openid offline_access', prompt: 'consent', nonce }
    const { url, redeem } = await authorizationRequest(rp, wishes)
    const { callback } = await signIn(createUserAgent(), url, PERSON)
    const first = await redeem(callback, { expectedNonce: nonce })
    const second = await refresh(nodes.urls[0], first.refresh_token ?? '')
    const third = await refresh(nodes.urls[0], nextOf(second))
    for (const { body } of [second, third]) {
      assert.equal(decodeJwt(body.id_token ?? '').nonce, undefined)
      assert.equal(decodeJwt(body.id_token ?? '').sub, first.claims()?.sub)
    }
  })
})

async function dpop(rp: client.Configuration): Promise<client.DPoPHandle> {
  return client.getDPoPHandle(rp, await client.randomDPoPKeyPair('ES256'))
}

/** @param resources that the person agrees to */
async function tokenFor(scope: string, resources: URLSearchParams): Promise<string> {
  const rp = await discoverAs(nodes.issuer, 'web')
  const { url, redeem } = await authorizationRequest(rp, { scope, prompt: 'consent' })
  const { callback } = await signIn(createUserAgent(), `${url}&${resources}`, PERSON)
  return (await redeem(callback)).refresh_token ?? ''
}
