import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { compactVerify } from 'jose'
import { RingStale } from '../../src/errors.ts'
import { RingSigningKey } from '../../src/oidc/ring-signing-key.ts'
import { SIGNATURE_ALGORITHMS } from '../../src/ring/algorithms.ts'
import { generateKey } from '../../src/ring/generate.ts'
import type { Phase } from '../../src/ring/lifecycle.ts'
import type { Authorize } from '../../src/ring/may-sign.ts'
import { testSealer } from '../support/sealer.ts'

const sealer = testSealer()

async function ringKey(algorithm = 'ES256') {
  const { kid, jwk } = await generateKey(algorithm)
  const instants = { createdAt: 1, activatesAt: 1, retention: 1 }
  const facts = { kid, ring: `sig/${algorithm}`, generation: 1, algorithm, ...instants }
  return sealer.open(await sealer.seal(facts, jwk, []))
}

const willingly: Authorize = () => undefined

const signingKey = async (phase: Phase, authorize = willingly, algorithm = 'ES256') =>
  new RingSigningKey(await ringKey(algorithm), phase, authorize)

const jwt = (payload: object) =>
  Buffer.from(`e30.${Buffer.from(JSON.stringify(payload)).toString('base64url')}`)

describe('a key of a ring, as oidc-provider sees it', () => {
  for (const algorithm of Object.keys(SIGNATURE_ALGORITHMS)) {
    it(`signs with ${algorithm} what jose verifies`, async () => {
      const key = await signingKey('active', willingly, algorithm)
      const header = Buffer.from(JSON.stringify({ alg: algorithm })).toString('base64url')
      const data = `${header}.${Buffer.from('payload').toString('base64url')}`
      const signature = Buffer.from(await key.sign(Buffer.from(data))).toString('base64url')
      const { payload } = await compactVerify(`${data}.${signature}`, key.keyObject())
      assert.equal(Buffer.from(payload).toString(), 'payload')
    })
  }

  it('offers to sign only while it is active, and refuses otherwise', async () => {
    assert.equal((await signingKey('active')).key_ops, undefined)
    for (const phase of ['pre-active', 'retired', 'archived'] as const) {
      const key = await signingKey(phase)
      assert.deepEqual(key.key_ops, ['verify'])
      await assert.rejects(key.sign(Buffer.from('x')), { code: 'no_active_key' })
    }
  })

  it('does not sign where the scheduler forbids it', async () => {
    const key = await signingKey('active', () => {
      throw new RingStale('the test says so')
    })
    await assert.rejects(key.sign(jwt({})), { error: 'temporarily_unavailable', statusCode: 503 })
  })

  it('says until when what it signs is valid, and waits while that is recorded', async () => {
    const asked: unknown[] = []
    let isRecorded = false
    const key = await signingKey('active', (kid, expiresAt) => {
      asked.push([kid, expiresAt])
      if (expiresAt !== 5) return undefined
      return new Promise((resolve) =>
        setImmediate(() => {
          isRecorded = true
          resolve()
        }),
      )
    })
    await key.sign(jwt({ exp: 5, nested: { exp: 7 } }))
    assert.ok(isRecorded, 'it signed before the expiry was recorded')
    for (const data of [jwt({}), jwt({ exp: 'soon' }), Buffer.from('x'), Buffer.from('a.b')]) {
      await key.sign(data)
    }
    const without = [key.kid, undefined]
    assert.deepEqual(asked, [[key.kid, 5], without, without, without, without])
  })

  it('without its private half still shows and verifies', async () => {
    const erased = await sealer.open(await sealer.erase(await ringKey(), []))
    const key = new RingSigningKey(erased, 'retired', willingly)
    assert.equal(key.kty, 'EC')
    assert.equal(key.kid, erased.kid)
    assert.ok(key.x && key.y)
  })
})
