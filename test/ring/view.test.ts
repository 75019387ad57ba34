import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey, verify } from 'node:crypto'
import { describe, it } from 'node:test'
import type { JWK } from 'jose'
import { generateKey } from '../../src/ring/generate.ts'
import type { RingPolicy } from '../../src/ring/policy.ts'
import type { RingKey } from '../../src/ring/ring-key.ts'
import { localSigner } from '../../src/ring/signer.ts'
import { ringView } from '../../src/ring/view.ts'
import { key, POLICY, policiesOf } from '../support/rings.ts'

const ALGORITHMS = ['ES256', 'RS256', 'PS256', 'Ed25519'] as const
const SIGNING_INPUT = Buffer.from('header.payload')

const pairs = await Promise.all(
  ALGORITHMS.flatMap((algorithm) =>
    // Retired, active and waiting at 3000.
    [1000, 2000, 4000].map(async (activatesAt, index) => {
      const { kid, jwk } = await generateKey(algorithm)
      const privateKey = createPrivateKey({ key: jwk, format: 'jwk' })
      const publicKey = createPublicKey(privateKey)
      const publicJwk = { ...(publicKey.export({ format: 'jwk' }) as JWK), kid, alg: algorithm }
      const ringKey: RingKey = {
        ...key(index + 1, { kid, ring: `sig/${algorithm}`, algorithm, activatesAt }),
        ...{ retention: 5000, publicKey, publicJwk, protectedBy: null, isOpen: true, knows: [] },
        ...{ signer: localSigner(privateKey, { publicJwk, algorithm }), secret: undefined },
      }
      return ringKey
    }),
  ),
)

function jwksOf(rings: readonly string[]) {
  const policies = policiesOf(
    ...rings.map((algorithm): RingPolicy => {
      return { ...POLICY, ring: `sig/${algorithm}`, algorithm, retention: 5000 }
    }),
  )
  const keys = pairs.filter(({ algorithm }) => rings.includes(algorithm))
  return ringView({ keys, events: [] }, policies, 3000).jwks.keys
}

/** What python-jose 3 does: it tries key by key, whatever the kid, and throws at one of another type. */
function acceptsLikePythonJose(keys: readonly JWK[], signature: Buffer): boolean {
  return keys.some((jwk) => {
    if (jwk.kty !== 'RSA') throw new TypeError(`Incorrect key type. Expected: 'RSA', ${jwk.kty}`)
    return verify('sha256', SIGNING_INPUT, createPublicKey({ key: jwk, format: 'jwk' }), signature)
  })
}

describe('the order of the JWKS', () => {
  it('is by ring, RS256 first and then as configured, and within a ring the active key first', () => {
    const order = (rings: readonly string[]) =>
      jwksOf(rings).map(({ alg, kid }) => {
        const generation = pairs.find((pair) => pair.kid === kid)?.generation
        return `${alg}#${generation}`
      })
    assert.deepEqual(order(['ES256', 'RS256', 'PS256']), [
      ...['RS256#2', 'RS256#3', 'RS256#1'],
      ...['ES256#2', 'ES256#3', 'ES256#1'],
      ...['PS256#2', 'PS256#3', 'PS256#1'],
    ])
    assert.deepEqual(order(['Ed25519', 'ES256']), [
      ...['Ed25519#2', 'Ed25519#3', 'Ed25519#1'],
      ...['ES256#2', 'ES256#3', 'ES256#1'],
    ])
  })

  for (const rings of [
    ['RS256', 'ES256'],
    ['Ed25519', 'ES256', 'RS256'],
    ['PS256', 'ES256', 'RS256'],
  ]) {
    it(`suits an RP that throws at the first key of another type (${rings.join(', ')})`, async () => {
      const keys = jwksOf(rings)
      assert.equal(keys.length, 3 * rings.length)
      for (const { algorithm, signer, generation } of pairs) {
        if (algorithm !== 'RS256' || !signer) continue
        const signature = Buffer.from(await signer.sign(SIGNING_INPUT))
        assert.ok(acceptsLikePythonJose(keys, signature), `generation ${generation}`)
      }
    })
  }
})
