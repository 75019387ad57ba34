import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import * as client from 'openid-client'
import { discoverAs } from '../../lab/relying-party.ts'
import { API, SECRET, startTestServer, type TestServer } from '../../lab/server.ts'
import { firstToken } from '../conformance/refresh.ts'

let keyturn: TestServer
before(async () => {
  keyturn = await startTestServer()
})
after(() => keyturn?.[Symbol.asyncDispose]())

async function revoke(id: string, token: string, accept = '*/*'): Promise<Response> {
  return fetch(`${keyturn.issuer}/token/revocation`, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa(`${id}:${SECRET}`)}`, accept },
    body: new URLSearchParams({ token }),
  })
}

describe('the answer to a revocation', () => {
  it('is empty and of no type, whatever was revoked (RFC 7009, section 2.2)', async () => {
    const machine = await discoverAs(keyturn.issuer, 'machine')
    const granted = async (resource: string) =>
      (await client.clientCredentialsGrant(machine, { resource, scope: 'read' })).access_token
    for (const [id, token] of [
      ['web', await firstToken(keyturn.issuer)],
      ['machine', await granted(`${API}/opaque`)],
      ['machine', await granted(API)],
      ['machine', 'unknown'],
    ] as const) {
      for (const accept of ['*/*', 'application/json', 'text/html']) {
        const answer = await revoke(id, token, accept)
        assert.equal(answer.status, 200)
        assert.equal(answer.headers.get('content-type'), null)
        assert.equal(answer.headers.get('content-length'), '0')
        assert.equal(await answer.text(), '')
      }
    }
  })

  it('is of a type where it says what was wrong', async () => {
    const answer = await revoke('unknown', 'x')
    assert.equal(answer.status, 401)
    assert.match(answer.headers.get('content-type') ?? '', /^application\/json/)
  })
})

describe('discovery', () => {
  it('tells how clients prove who they are at revocation and introspection (RFC 8414, section 2)', async () => {
    for (const name of ['openid-configuration', 'oauth-authorization-server']) {
      const answer = await fetch(`${keyturn.issuer}/.well-known/${name}`)
      const metadata = (await answer.json()) as Record<string, unknown>
      const { token_endpoint_auth_methods_supported: methods } = metadata
      assert.ok(Array.isArray(methods) && methods.includes('private_key_jwt'))
      for (const endpoint of ['revocation', 'introspection']) {
        for (const what of ['methods', 'signing_alg_values']) {
          assert.deepEqual(
            metadata[`${endpoint}_endpoint_auth_${what}_supported`],
            metadata[`token_endpoint_auth_${what}_supported`],
          )
        }
      }
    }
  })
})
