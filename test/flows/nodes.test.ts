import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { decodeProtectedHeader } from 'jose'
import * as client from 'openid-client'
import { pino } from 'pino'
import { authorizationRequest, discoverAs } from '../../lab/relying-party.ts'
import { API, PERSON, SECRET, startTestServer, type TestServer } from '../../lab/server.ts'
import { createUserAgent, signIn } from '../../lab/user-agent.ts'
import { orderRevocationBefore } from '../../src/ring/orders.ts'
import { signerOf } from '../../src/ring/view.ts'
import { type KeyturnServer, startServer } from '../../src/server/server.ts'
import { operate } from '../support/operator.ts'

const RING = 'sig/RS256'

const signer = ({ issuers: [{ scheduler }] }: KeyturnServer) => {
  const { view } = scheduler.status
  return view && signerOf(view, RING)?.key.kid
}

/** Two nodes, of which only one knows the key that signs. */
async function withUnheardKey(
  work: (one: TestServer, other: KeyturnServer) => Promise<void>,
): Promise<void> {
  // Neither looks by itself while the test runs.
  const settings = { rotation: { refreshInterval: '30m' } }
  await using one = await startTestServer({ settings })
  const elsewhere = { ...one.config, http: { ...one.config.http, port: 0 } }
  const other = await startServer(elsewhere, { log: pino({ level: 'silent' }) })
  try {
    // Every key is revoked, so that the first node makes one that signs at once.
    const now = Math.floor(Date.now() / 1000)
    await operate(one.config, (facts, policies) =>
      orderRevocationBefore(facts, policies, {
        ring: RING,
        createdBefore: now + 2,
        now: now + 2,
        actor: 'test',
        reason: 'test',
      }),
    )
    await one.server.issuers[0].scheduler.runOnce()
    assert.notEqual(signer(one.server), signer(other))
    await work(one, other)
    assert.equal(signer(other), signer(one.server))
  } finally {
    await other.close()
  }
}

describe('a node that has not heard of a key', () => {
  it('looks for it when a person signs out with a token that another node has just signed', () =>
    withUnheardKey(async (one, other) => {
      const rp = await discoverAs(one.issuer, 'web')
      const { url, redeem } = await authorizationRequest(rp)
      const { callback } = await signIn(createUserAgent(), url, PERSON)
      const { id_token: hint = '' } = await redeem(callback)
      assert.equal(decodeProtectedHeader(hint).kid, signer(one.server))

      const { search } = client.buildEndSessionUrl(rp, { id_token_hint: hint })
      const answer = await fetch(`${other.url}/session/end${search}`)
      assert.equal(answer.status, 200, await answer.text())
    }))

  it('looks for it when it is asked about an access token that another node has just signed', () =>
    withUnheardKey(async (one, other) => {
      const rp = await discoverAs(one.issuer, 'machine')
      const parameters = { resource: API, scope: 'read' }
      const { access_token: token } = await client.clientCredentialsGrant(rp, parameters)
      assert.equal(decodeProtectedHeader(token).kid, signer(one.server))

      const answer = await fetch(`${other.url}/token/introspection`, {
        method: 'POST',
        headers: { authorization: `Basic ${btoa(`machine:${SECRET}`)}` },
        body: new URLSearchParams({ token }),
      })
      // RFC 7662, section 2.2.
      const { active } = (await answer.json()) as { active: boolean }
      assert.equal(active, true)
    }))
})
