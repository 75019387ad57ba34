import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readKeyFile } from '../../src/import/key-file.ts'
import { assertSurvives } from './mutations.ts'
import { vector, vectorJson, withoutVectors } from './vectors.ts'

const { entries } = vectorJson<{ entries: { file: string; password?: string }[] }>(
  'pem',
  'manifest.json',
)

/** Values of private members in a JSON file. */
function privateParts(text: string): readonly string[] {
  return [...text.matchAll(/"(?:d|p|q|dp|dq|qi|k)"\s*:\s*"([\w+/=-]{16})/g)].map(
    ([, part]) => part ?? '',
  )
}

describe('a key file that was changed', { skip: withoutVectors }, () => {
  it('is read or refused with a code, 2,000 times, and no message tells a secret', async () => {
    // Files of step take a third of a second each for their password.
    const files = entries.filter(({ file }) => !/^step-.*priv/.test(file))
    const inputs = files.map(({ file, password }) => ({
      bytes: vector('pem', file),
      read: (bytes: Buffer) => readKeyFile(bytes, { name: 'FILE', password, now: 1_790_000_000 }),
    }))
    const secrets = inputs.flatMap(({ bytes }) => privateParts(bytes.toString('latin1')))
    assert.ok(secrets.length > 10)
    await assertSurvives({
      inputs,
      seed: 1,
      secrets: [...secrets, 'test-only', 'not-the-password'],
    })
  })

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
