import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { decodeProtectedHeader } from 'jose'
import * as client from 'openid-client'
import { pino } from 'pino'
import { signerOf } from '../../src/keys/jwks.ts'
import { orderRevocationBefore } from '../../src/keys/operate.ts'
import { startServer } from '../../src/main.ts'
import { operate } from '../support/operator.ts'
import { authorizationRequest, discoverAs } from '../support/relying-party.ts'
import { PERSON, startTestServer } from '../support/server.ts'
import { createUserAgent, signIn } from '../support/user-agent.ts'

const RING = 'sig/RS256'

describe('a node that has not heard of a key', () => {
  it('looks for it when a person signs out with a token that another node has just signed', async () => {
    // Neither looks by itself while the test runs.
    const settings = { rotation: { refreshInterval: '30m' } }
    await using one = await startTestServer({ settings })
    const log = pino({ level: 'silent' })
    const other = await startServer(
      { ...one.config, http: { ...one.config.http, port: 0 } },
      { log },
    )
    try {
      const signer = (server: typeof other) => {
        const { view } = server.scheduler.status
        return view && signerOf(view, RING)?.key.kid
      }
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
      await one.server.scheduler.runOnce()
      assert.notEqual(signer(one.server), signer(other))

      const rp = await discoverAs(one.issuer, 'web')
      const { url, redeem } = await authorizationRequest(rp)
      const { callback } = await signIn(createUserAgent(), url, PERSON)
      const { id_token: hint = '' } = await redeem(callback)
      assert.equal(decodeProtectedHeader(hint).kid, signer(one.server))

      const { search } = client.buildEndSessionUrl(rp, { id_token_hint: hint })
      const answer = await fetch(`${other.url}/session/end${search}`)
      assert.equal(answer.status, 200, await answer.text())
      assert.equal(signer(other), signer(one.server))
    } finally {
      await other.close()
    }
  })
})
