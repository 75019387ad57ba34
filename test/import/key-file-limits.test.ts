import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { vector, withoutVectors } from '../../lab/vectors.ts'
import { readKeyFile } from '../../src/import/key-file.ts'

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
