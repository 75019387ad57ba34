import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import * as client from 'openid-client'
import { authorizationRequest, discoverAs } from '../../lab/relying-party.ts'
import { CLIENTS, PERSON, startTestServer, type TestServer } from '../../lab/server.ts'
import { createUserAgent, signIn } from '../../lab/user-agent.ts'
import type { Claims } from '../../src/accounts/claims.ts'
import { systemClock } from '../../src/clock.ts'
import { openStores } from '../../src/server/stores.ts'

const PASSWORD = 'urn:oasis:names:tc:SAML:2.0:ac:classes:Password'
const SCOPE = 'openid profile email address phone'

/** All that OpenID Connect Core 1.0, section 5.1 lets a client be told of a person. */
const ALL: Claims = {
  name: 'Ada Lovelace',
  given_name: 'Ada',
  family_name: 'Lovelace',
  middle_name: 'King',
  nickname: 'Countess',
  profile: 'https://example.com/ada',
  picture: 'https://example.com/ada.png',
  website: 'https://example.com',
  email: 'ada@example.com',
  email_verified: true,
  gender: 'female',
  birthdate: '1815-12-10',
  zoneinfo: 'Europe/London',
  locale: 'en-GB',
  phone_number: '+442079460000',
  phone_number_verified: false,
  address: { locality: 'London', country: 'UK' },
  updated_at: 1_767_225_600,
}

describe('what clients are told of a person', () => {
  let keyturn: TestServer
  before(async () => {
    const clients = CLIENTS.map((each) => ({ ...each, scope: `${SCOPE} offline_access` }))
    const web = clients.filter(({ client_id }) => client_id === 'web')
    keyturn = await startTestServer({ settings: { clients: web } })
  })
  after(() => keyturn[Symbol.asyncDispose]())

  const setClaims = async (claims: Claims) => {
    const { accounts, close } = (await openStores(keyturn.config, systemClock)).of(
      keyturn.config.issuer,
    )
    const account = await accounts.findByUsername(PERSON.username)
    assert.ok(account)
    await accounts.change(account.id, () => ({ claims }))
    await close()
    return account
  }

  async function askFor(parameters: Readonly<Record<string, string>>, agent = createUserAgent()) {
    const rp = await discoverAs(keyturn.issuer, 'web')
    const { url, redeem } = await authorizationRequest(rp, parameters)
    const { callback } = await signIn(agent, url, PERSON)
    const tokens = await redeem(callback)
    const idToken = tokens.claims()
    assert.ok(idToken)
    const userinfo = await client.fetchUserInfo(rp, tokens.access_token, idToken.sub)
    return { idToken, userinfo }
  }

  it('is all standard claims of the scopes, as they were set', async () => {
    const { id } = await setClaims(ALL)
    const { userinfo } = await askFor({ scope: SCOPE })
    assert.deepEqual(userinfo, { ...ALL, sub: id, preferred_username: PERSON.username })
  })

  it('is nothing that is not known: no email_verified, and updated_at from when it was told', async () => {
    const { id, createdAt } = await setClaims({ email: 'ada@example.com' })
    const { userinfo } = await askFor({ scope: SCOPE })
    assert.deepEqual(userinfo, {
      sub: id,
      preferred_username: PERSON.username,
      email: 'ada@example.com',
      updated_at: createdAt,
    })
  })

  it('never replaces what the protocol says, whatever an account holds', async () => {
    const { id } = await setClaims({ sub: 'somebody', preferred_username: 'root', iss: 'x' })
    const { idToken, userinfo } = await askFor({ scope: SCOPE })
    assert.equal(idToken.sub, id)
    assert.equal(idToken.iss, keyturn.issuer)
    assert.equal(userinfo.preferred_username, PERSON.username)
  })

  it('is how they signed in, where it is asked for, and discovery says what can be', async () => {
    const rp = await discoverAs(keyturn.issuer, 'web')
    assert.deepEqual(rp.serverMetadata().acr_values_supported, [PASSWORD])
    const agent = createUserAgent()
    const plain = await askFor({ scope: 'openid' }, agent)
    assert.equal(plain.idToken.acr, undefined)
    const asked = { scope: 'openid', acr_values: `urn:another ${PASSWORD}`, max_age: '600' }
    const { idToken } = await askFor(asked, agent)
    assert.equal(idToken.acr, PASSWORD)
    assert.ok(Math.abs(Number(idToken.auth_time) - Date.now() / 1000) < 60)
    const claims = JSON.stringify({
      id_token: { amr: null, acr: { essential: true, value: PASSWORD } },
    })
    const single = await askFor({ scope: 'openid', claims }, agent)
    assert.deepEqual([single.idToken.acr, single.idToken.amr], [PASSWORD, ['pwd']])
  })

  it('is an error, and no sign-in without end, where a client insists on what there is not', async () => {
    const rp = await discoverAs(keyturn.issuer, 'web')
    for (const wanted of [
      { value: 'urn:mfa' },
      { values: ['urn:mfa', 'phr'] },
      { values: [] },
      { values: ['urn:mfa'], value: PASSWORD },
      { values: [PASSWORD], value: 'urn:mfa' },
    ]) {
      const claims = JSON.stringify({ id_token: { acr: { essential: true, ...wanted } } })
      const { url } = await authorizationRequest(rp, { claims })
      const { url: back } = await createUserAgent().open(url, keyturn.issuer)
      const { searchParams } = new URL(back)
      assert.equal(searchParams.get('error'), 'unmet_authentication_requirements')
      assert.match(searchParams.get('error_description') ?? '', /ac:classes:Password/)
    }
  })
})
