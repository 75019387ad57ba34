import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { vector, withoutVectors } from '../../lab/vectors.ts'
import { readKeyFile } from '../../src/import/key-file.ts'
import { createPasswordWork } from '../../src/import/password-encryption.ts'

describe('a key file at which a library stumbles', { skip: withoutVectors }, () => {
  const refused = async (der: Buffer, code: string) =>
    assert.rejects(readKeyFile(der, { name: 'FILE', now: 0 }), { code })

  it('is refused with a code where its public point is empty', async () => {
    const der = vector('pem', 'ec-p521-sec1.der')
    const at = der.indexOf(Buffer.from('a18189038186', 'hex'))
    assert.ok(at > 0, 'it has a tagged bit string of its point')
    const [head, empty] = [Buffer.from(der.subarray(0, at)), Buffer.from('a103030100', 'hex')]
    head.writeUInt8(at + empty.length - 3, 2)
    await refused(Buffer.concat([head, empty]), 'key_malformed')
  })

  it('is refused with a code where its curve is no text', async () => {
    for (const kty of ['EC', 'OKP']) {
      const jwk = Buffer.from(JSON.stringify({ kty, crv: { toString: 1 }, x: 'AA', y: 'AA' }))
      await refused(jwk, 'key_type_unsupported')
    }
  })

  it('is refused with a code where a number of an object identifier is huge', async () => {
    const der = Buffer.from(vector('pem', 'rsa-pkcs8.der'))
    const at = der.indexOf(Buffer.from('2a864886f70d010101', 'hex'))
    der.fill(0xff, at, at + 8)
    der.writeUInt8(0x7f, at + 8)
    await refused(der, 'input_malformed')
  })
})

describe('a key file that takes too much', { skip: withoutVectors }, () => {
  it('is refused where it is larger than a key file can be', async () => {
    const bytes = Buffer.alloc(1024 * 1024 + 1, ' ')
    await assert.rejects(readKeyFile(bytes, { name: 'FILE', now: 0 }), { code: 'input_too_large' })
  })

  it('is refused where its password takes more rounds than anybody needs', async () => {
    const pem = vector('pem', 'rsa-pbes2-aes256-sha256.pem').toString()
    const der = Buffer.from(pem.replace(/-----.*|\s/g, ''), 'base64')
    const at = der.indexOf(Buffer.from('02030927c0', 'hex'))
    assert.ok(at > 0, 'its rounds are 600,000')
    der.writeUIntBE(0x7fffff, at + 2, 3)
    await assert.rejects(readKeyFile(der, { name: 'FILE', password: 'test-only-pem', now: 0 }), {
      code: 'input_too_large',
    })
  })
})

describe('a key file of very many parts', { skip: withoutVectors }, () => {
  it('is refused once its passwords together take more rounds than anybody needs', async () => {
    const work = createPasswordWork()
    const spend = () => work.spend(5_000_000)
    spend()
    spend()
    for (const file of ['rsa-pbes2.der', 'rsa-pbes2-scrypt.pem', 'rsa-pbes2-3des-sha1.pem']) {
      const options = { name: file, password: 'test-only-pem', work, now: 0 }
      await readKeyFile(vector('pem', file), options)
    }
    assert.throws(spend, { code: 'input_too_large' })
    for (const file of ['rsa-pbes2.der', 'rsa-pbes2-scrypt.pem', 'openssl-3des.p12']) {
      const options = { name: file, password: 'test-only-pem', work, now: 0 }
      await assert.rejects(readKeyFile(vector('pem', file), options), { code: 'input_too_large' })
    }
  })

  it('is refused where it has more certificates than keys and their issuers need', async () => {
    const one = vector('pem', 'certificate.pem').toString()
    await assert.rejects(readKeyFile(Buffer.from(one.repeat(201)), { name: 'FILE', now: 0 }), {
      code: 'input_too_large',
    })
  })
})
