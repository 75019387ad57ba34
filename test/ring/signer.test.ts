import assert from 'node:assert/strict'
import { createPrivateKey } from 'node:crypto'
import { describe, it } from 'node:test'
import { base64url, calculateJwkThumbprint, compactVerify } from 'jose'
import { SIGNATURE_ALGORITHMS, type SignatureAlgorithm } from '../../src/ring/algorithms.ts'
import { generateKey } from '../../src/ring/generate.ts'
import { localSigner } from '../../src/ring/signer.ts'

const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'priv']

/** A key that was just made, in two halves. */
async function halves(algorithm: string) {
  const { kid, jwk } = await generateKey(algorithm)
  const isPublic = ([name]: [string, unknown]) => !PRIVATE_MEMBERS.includes(name)
  const publicJwk = {
    ...Object.fromEntries(Object.entries(jwk).filter(isPublic)),
    kty: jwk.kty ?? '',
  }
  return { kid, jwk, publicJwk, privateKey: createPrivateKey({ key: jwk, format: 'jwk' }) }
}

describe('a key of each algorithm', () => {
  // The table's own keys.
  for (const algorithm of Object.keys(SIGNATURE_ALGORITHMS) as SignatureAlgorithm[]) {
    it(`${algorithm} is of the type that the table says, and is named by its thumbprint`, async () => {
      const { kid, jwk, publicJwk } = await halves(algorithm)
      assert.equal(jwk.kty, SIGNATURE_ALGORITHMS[algorithm].kty)
      assert.equal(await calculateJwkThumbprint(publicJwk), kid)
      if (jwk.kty === 'RSA') assert.equal(base64url.decode(jwk.n ?? '').length, 2048 / 8)
    })

    it(`${algorithm} makes signatures that the public JWK verifies, time and again`, async () => {
      const { publicJwk, privateKey } = await halves(algorithm)
      const signer = localSigner(privateKey, { publicJwk, algorithm })
      const header = base64url.encode(JSON.stringify({ alg: algorithm }))
      for (const payload of ['first', 'second']) {
        const input = `${header}.${base64url.encode(payload)}`
        const signature = base64url.encode(await signer.sign(Buffer.from(input)))
        const verified = await compactVerify(`${input}.${signature}`, {
          ...publicJwk,
          alg: algorithm,
        })
        assert.equal(Buffer.from(verified.payload).toString(), payload)
      }
    })
  }

  it('HS256 is a secret of 256 bits', async () => {
    const { jwk } = await generateKey('HS256')
    assert.equal(jwk.kty, 'oct')
    assert.equal(base64url.decode(jwk.k ?? '').length, 32)
  })

  it('is not made for an algorithm that no ring can have', async () => {
    await assert.rejects(generateKey('RSA-OAEP-256'), TypeError)
  })
})

it('a signer does not reveal its private key, neither to programs nor to logs', async () => {
  const { jwk, publicJwk, privateKey } = await halves('ES256')
  const signer = localSigner(privateKey, { publicJwk, algorithm: 'ES256' })
  await signer.sign(Buffer.from('a'))
  assert.deepEqual(Object.keys(signer).sort(), ['algorithm', 'publicJwk', 'sign'])
  assert.ok(!JSON.stringify(signer).includes(String(jwk.d)))
})
