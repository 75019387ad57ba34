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
