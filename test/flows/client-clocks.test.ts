import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { startTestServer } from '../../lab/server.ts'

/** Clients whose clocks are early or late, where they sign what proves who they are. */

const { privateKey, publicKey } = await generateKeyPair('ES256')
const CLIENT = {
  client_id: 'assertive',
  token_endpoint_auth_method: 'private_key_jwt',
  jwks: { keys: [{ ...(await exportJWK(publicKey)), alg: 'ES256', use: 'sig' }] },
  redirect_uris: [],
  response_types: [],
  grant_types: ['client_credentials'],
}

const BANK = {
  ...CLIENT,
  client_id: 'bank',
  profile: 'fapi2',
  id_token_signed_response_alg: 'ES256',
}

/** @param early seconds that the client's clock is ahead. @returns status */
async function authenticate(issuer: string, early: number): Promise<number> {
  const now = Math.floor(Date.now() / 1000) + early
  const assertion = await new SignJWT({ jti: crypto.randomUUID() })
    .setProtectedHeader({ alg: 'ES256' })
    .setIssuer(CLIENT.client_id)
    .setSubject(CLIENT.client_id)
    .setAudience(issuer)
    .setIssuedAt(now)
    .setNotBefore(now)
    .setExpirationTime(now + 5)
    .sign(privateKey)
  const answer = await fetch(`${issuer}/token/introspection`, {
    method: 'POST',
    body: new URLSearchParams({
      token: 'unknown',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: assertion,
    }),
  })
  return answer.status
}

describe('clocks of clients', () => {
  for (const [settings, borne, refused] of [
    // FAPI 2.0 Security Profile, section 5.3.2.1.
    [{}, [0, 10, 45, -45], [65, 600, -70]],
    [{ tokens: { clockTolerance: '20s' } }, [10, 18, -18], [30, -30]],
    [{ tokens: { clockTolerance: '0s' } }, [0, -3], [10, -10]],
  ] as const) {
    it(`are borne as far as tokens.clockTolerance says, not as nodes are: ${JSON.stringify(settings)}`, async () => {
      await using keyturn = await startTestServer({
        settings: { clients: [CLIENT], rotation: { clockSkew: '2s' }, ...settings },
      })
      for (const early of borne) assert.equal(await authenticate(keyturn.issuer, early), 200)
      for (const early of refused) assert.equal(await authenticate(keyturn.issuer, early), 401)
    })
  }
})

interface Ahead {
  /** Claims of the assertion, in seconds from now. */
  readonly assertion?: Readonly<Record<string, number>>
  /** Claims of the DPoP proof, in seconds from now. */
  readonly proof?: Readonly<Record<string, number>>
}

/** Gets a token for a client that proves itself and its key with clocks that are ahead. */
async function getToken(issuer: string, clientId: string, { assertion = {}, proof = {} }: Ahead) {
  const now = Math.floor(Date.now() / 1000)
  const fromNow = (claims: Readonly<Record<string, number>>) =>
    Object.fromEntries(Object.entries(claims).map(([name, ahead]) => [name, now + ahead]))
  const sign = (claims: object, header: object) =>
    new SignJWT({ jti: crypto.randomUUID(), ...claims })
      .setProtectedHeader({ alg: 'ES256', ...header })
      .sign(privateKey)
  const url = `${issuer}/token`
  const own = { iss: clientId, sub: clientId, aud: issuer, iat: now, exp: now + 300 }
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      dpop: await sign(
        { htm: 'POST', htu: url, iat: now, ...fromNow(proof) },
        { typ: 'dpop+jwt', jwk: await exportJWK(publicKey) },
      ),
    },
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: await sign({ ...own, ...fromNow(assertion) }, {}),
    }),
  })
  // The token endpoint answers with an object.
  const { error } = (await response.json()) as { readonly error?: string }
  return error ?? 'a token'
}

describe('a client whose profile is fapi2 and whose clock is ahead', () => {
  // FAPI 2.0 Security Profile, section 5.3.2.1: at most 60 s, whatever the JWT is for.
  const cases: readonly (readonly [tolerance: string, ahead: Ahead, answer: string])[] = [
    ['60s', { assertion: { iat: 10, nbf: 10 }, proof: { iat: 10, nbf: 0 } }, 'a token'],
    ['60s', { assertion: { iat: 50 }, proof: { iat: 50 } }, 'a token'],
    ['60s', { assertion: { iat: 70 } }, 'invalid_client'],
    ['60s', { proof: { iat: 70 } }, 'invalid_dpop_proof'],
    ['60s', { proof: { iat: -70 } }, 'a token'],
    ['5m', { assertion: { iat: 50, nbf: 50 } }, 'a token'],
    ['5m', { assertion: { nbf: 70 } }, 'invalid_client'],
    ['20s', { assertion: { iat: 30 } }, 'invalid_client'],
  ]
  for (const [clockTolerance, ahead, answer] of cases) {
    it(`gets ${answer} for ${JSON.stringify(ahead)} by a tolerance of ${clockTolerance}`, async () => {
      await using keyturn = await startTestServer({
        settings: { clients: [BANK], tokens: { clockTolerance } },
      })
      assert.equal(await getToken(keyturn.issuer, 'bank', ahead), answer)
    })
  }

  it('leaves other clients the 5 minutes that oidc-provider gives DPoP proofs', async () => {
    await using keyturn = await startTestServer({ settings: { clients: [CLIENT] } })
    const ahead = { assertion: { iat: 70 }, proof: { iat: 250 } }
    assert.equal(await getToken(keyturn.issuer, 'assertive', ahead), 'a token')
  })
})
