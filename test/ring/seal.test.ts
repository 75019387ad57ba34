import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { base64url, calculateJwkThumbprint, compactVerify, decodeProtectedHeader } from 'jose'
import { SIGNATURE_ALGORITHMS } from '../../src/ring/algorithms.ts'
import { generateKey } from '../../src/ring/generate.ts'
import type { SerializedKey } from '../../src/ring/key-store.ts'
import { closedKey, uncheckedKey } from '../../src/ring/ring-key.ts'
import { createSealer, type Kek } from '../../src/ring/seal.ts'
import { testDeployment, testSealer } from '../support/sealer.ts'

const kek = (kid: string): Kek => ({ kid, secret: randomBytes(32) })
const ONE = kek('one')
const deployment = testDeployment()
const sealer = testSealer([ONE], deployment)

async function sealed(algorithm = 'ES256'): Promise<SerializedKey> {
  const { kid, jwk } = await generateKey(algorithm)
  const ring = algorithm === 'HS256' ? 'cookie' : `sig/${algorithm}`
  const facts = {
    kid,
    ring,
    generation: 3,
    algorithm,
    createdAt: 100,
    activatesAt: 200,
    retention: 300,
  }
  return sealer.seal(facts, jwk, [])
}

describe('sealing', () => {
  for (const algorithm of [...Object.keys(SIGNATURE_ALGORITHMS), 'HS256']) {
    it(`opens a key of ${algorithm} as it was, and its kid is its thumbprint`, async () => {
      const record = await sealed(algorithm)
      const key = await sealer.open(record)
      assert.deepEqual(
        [key.kid, key.generation, key.createdAt, key.activatesAt, key.retention, key.protectedBy],
        [record.id, 3, 100, 200, 300, 'one'],
      )
      assert.ok(key.hasPrivateHalf)
      if (algorithm === 'HS256') return assert.equal(key.publicJwk, undefined)
      const { publicJwk, signer, publicKey } = key
      assert.ok(publicJwk && signer && publicKey)
      assert.equal(await calculateJwkThumbprint(publicJwk), record.id)
      assert.deepEqual([publicJwk.kid, publicJwk.alg, publicJwk.use], [record.id, algorithm, 'sig'])
      assert.ok(!('d' in publicJwk) && !('priv' in publicJwk), 'the public JWK has private members')
      const input = `${base64url.encode(JSON.stringify({ alg: algorithm }))}.${base64url.encode('data')}`
      const signature = base64url.encode(await signer.sign(Buffer.from(input)))
      await compactVerify(`${input}.${signature}`, publicKey, { algorithms: [algorithm] })
    })
  }

  it('opens a key that moved in under the kid and with the certificates and the plan it had', async () => {
    const { jwk } = await generateKey('ES256')
    const kid = '鍵 of "the" old/system \u{1d4a6}'
    const life = { generation: 1, createdAt: 1, activatesAt: 1, retention: 1 }
    const facts = { ...life, kid, ring: 'sig/ES256', algorithm: 'ES256', signsUntil: 900 }
    const certificates = { x5c: ['MIIB'], x5t: 'abc', 'x5t#S256': 'def' }
    const key = await sealer.open(await sealer.seal(facts, { ...jwk, ...certificates }, []))
    assert.equal(key.publicJwk?.kid, kid)
    const { x5c, x5t, 'x5t#S256': sha256 } = key.publicJwk ?? {}
    assert.deepEqual({ x5c, x5t, 'x5t#S256': sha256 }, certificates)
    const erased = await sealer.open(await sealer.erase(key, []))
    assert.deepEqual([erased.hasPrivateHalf, erased.publicJwk], [false, key.publicJwk])
    assert.equal(erased.verifiesOnly, undefined)
    assert.deepEqual([key.signsUntil, erased.signsUntil], [900, 900])
  })

  it('remembers that a key only verifies, except for a closed key, whose record may be forged', async () => {
    const { kid, jwk } = await generateKey('ES256')
    const { d: _, ...half } = jwk
    const life = { generation: 1, createdAt: 1, activatesAt: 1, retention: 1 }
    const facts = { ...life, kid, ring: 'sig/ES256', algorithm: 'ES256' }
    const record = await sealer.seal({ ...facts, verifiesOnly: true }, half, [])
    const key = await sealer.open(record)
    assert.deepEqual([key.verifiesOnly, key.hasPrivateHalf, key.signer], [true, false, undefined])
    assert.equal(uncheckedKey(record).verifiesOnly, true)
    const place = { kid, generation: 1, createdAt: 1, activatesAt: 1 }
    assert.equal(closedKey(record, place).verifiesOnly, undefined)
  })

  it('hides the private half and gives another text each time', async () => {
    const { kid, jwk } = await generateKey('ES256')
    const facts = {
      kid,
      ring: 'sig/ES256',
      generation: 1,
      algorithm: 'ES256',
      createdAt: 1,
      activatesAt: 1,
      retention: 1,
    }
    const [a, b] = [await sealer.seal(facts, jwk, []), await sealer.seal(facts, jwk, [])]
    assert.notEqual(a.data, b.data)
    assert.ok(!JSON.stringify(a).includes(jwk.d ?? 'no d'))
    assert.ok(!JSON.stringify(decodeProtectedHeader(a.data)).includes(jwk.d ?? 'no d'))
  })

  const edits: readonly [keyof SerializedKey, unknown][] = [
    ['id', 'another'],
    ['version', 2],
    ['ring', 'sig/RS256'],
    ['generation', 4],
    ['algorithm', 'ES384'],
    ['created', 101],
    ['activatesAt', 0],
    ['retention', 0],
    ['isX509Certificate', true],
  ]
  for (const [field, value] of edits) {
    it(`refuses a key whose ${field} was edited, and names the field`, async () => {
      const edited = { ...(await sealed()), [field]: value }
      await assert.rejects(sealer.open(edited), (error: Error & { code: string }) => {
        assert.equal(error.code, 'seal_broken')
        assert.match(error.message, new RegExp(`field ${field} was edited`))
        return true
      })
    })
  }

  it('refuses a key that says it is not sealed', async () => {
    const edited = { ...(await sealed()), dataProtected: false }
    await assert.rejects(sealer.open(edited), { code: 'seal_broken' })
  })

  it('refuses sealed text that was cut, damaged or taken from another key', async () => {
    const record = await sealed()
    const parts = record.data.split('.')
    const flipped = parts.with(
      3,
      (parts[3] ?? '').replace(/^./, (c) => (c === 'A' ? 'B' : 'A')),
    )
    const other = await sealed()
    for (const data of [record.data.slice(0, -8), flipped.join('.'), 'x', other.data]) {
      await assert.rejects(sealer.open({ ...record, data }), { code: 'seal_broken' })
    }
  })

  it('tells a missing key-encryption key from a wrong one', async () => {
    const record = await sealed()
    await assert.rejects(createSealer([kek('two')]).open(record), { code: 'kek_missing' })
    await assert.rejects(createSealer([kek('one')]).open(record), { code: 'seal_broken' })
  })

  it('seals under the newest key-encryption key and opens under all', async () => {
    const old = await sealed()
    const both = testSealer([kek('two'), ONE], deployment)
    const key = await both.open(old)
    assert.equal(key.protectedBy, 'one')
    const again = await both.erase(key, [])
    assert.equal((await both.open(again)).protectedBy, 'two')
  })

  it('erases the private half and keeps everything else, authentic', async () => {
    const record = await sealed()
    const erased = await sealer.erase(await sealer.open(record), [])
    const key = await sealer.open(erased)
    assert.deepEqual({ ...erased, data: '' }, { ...record, data: '' })
    assert.equal(key.hasPrivateHalf, false)
    assert.equal(key.signer, undefined)
    assert.equal(key.publicJwk?.kid, record.id)
    await assert.rejects(sealer.open({ ...erased, activatesAt: 0 }), { code: 'seal_broken' })
  })
})
