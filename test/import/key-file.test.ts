import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey } from 'node:crypto'
import { describe, it } from 'node:test'
import { CompactSign, compactVerify, type JWK } from 'jose'
import { vector, vectorJson, withoutVectors } from '../../lab/vectors.ts'
import { ImportRefused } from '../../src/errors.ts'
import { publicHalf } from '../../src/import/build-key.ts'
import type { ImportedKey } from '../../src/import/imported-key.ts'
import { readKeyFile } from '../../src/import/key-file.ts'

interface ManifestKey {
  kid?: string
  thumbprint: string
  alg: string
  alias?: string
  public: JWK
  publicOnly?: boolean
  jws?: string
}

interface Entry {
  file: string
  password?: string
  keyPassword?: string | Record<string, string>
  expect: 'read' | 'refuse' | 'either'
  reason?: string
  keys?: ManifestKey[]
  chain?: number
  passedOver?: string[]
}

const NOW = Date.parse('2026-11-01T00:00:00Z') / 1000
const manifest = vectorJson<{ payload: string; entries: Entry[] }>('pem', 'manifest.json')

/** Codes of the files that are refused, and of those that may be and are. */
const CODES: Record<string, string> = {
  'wrong-password.pem': 'password_wrong',
  'no-password-given.pem': 'password_missing',
  'ec-secp256k1.pem': 'key_type_unsupported',
  'ec-brainpool.pem': 'key_type_unsupported',
  'x25519.pem': 'key_type_unsupported',
  'rsa-1024.pem': 'key_weak',
  'rsa-2047.pem': 'key_weak',
  'wrong-certificate.pem': 'certificate_mismatch',
  'truncated.pem': 'input_truncated',
  'empty.pem': 'input_empty',
  'csr.pem': 'format_unsupported',
  'flipped-byte.der': 'key_halves_differ',
  'openssl-wrong-password.p12': 'password_wrong',
  'openssl-wrong-password-no-mac.p12': 'password_wrong',
  'openssl-tampered.p12': 'password_wrong',
  'java-wrong-certificate.p12': 'certificate_mismatch',
  'java.jceks': 'format_unsupported',
  'go-multi-prime.pem': 'key_multi_prime',
  'ec-mismatch.jwk.json': 'key_halves_differ',
  'rsa-mismatch.jwk.json': 'key_halves_differ',
  'ed25519-mismatch.jwk.json': 'key_halves_differ',
  'not-on-curve.jwk.json': 'key_malformed',
  'oth.jwk.json': 'key_multi_prime',
  'symmetric.jwk.json': 'key_symmetric',
  'alg-does-not-fit.jwk.json': 'algorithm_mismatch',
  'duplicate-kid.jwks.json': 'kid_duplicate',
  'rsa-pbes1-md5-des.pem': 'encryption_unsupported',
  'ec-p256-explicit.pem': 'key_type_unsupported',
  'ed448.pem': 'key_type_unsupported',
  'rsa-e3.pem': 'key_weak',
  'rsa-16384-public.pem': 'key_too_large',
  'openssh-ed25519': 'format_unsupported',
  'openssh-rsa': 'format_unsupported',
  'openssh-ed25519-encrypted': 'format_unsupported',
  'openssh.pub': 'format_unsupported',
}

function read(entry: Entry) {
  const { file, password, keyPassword } = entry
  return readKeyFile(vector('pem', file), {
    name: file,
    password,
    keyPassword: typeof keyPassword === 'object' ? Object.values(keyPassword)[0] : keyPassword,
    now: NOW,
  })
}

/** RFC 9864 has a name of its own for what RFC 8037 calls EdDSA. */
function sameAlgorithm(one: string, other: string): boolean {
  return one === other || [one, other].every((name) => /^Ed/.test(name))
}

/** Signs with what was read, and has the public half of the manifest verify it. */
async function assertSigns(key: ImportedKey, expected: ManifestKey) {
  const alg = key.algorithm
  const jws = await new CompactSign(new TextEncoder().encode(manifest.payload))
    .setProtectedHeader({ alg })
    .sign(createPrivateKey({ key: key.jwk as never, format: 'jwk' }))
  await compactVerify(jws, createPublicKey({ key: expected.public as never, format: 'jwk' }))
}

async function assertKey(key: ImportedKey, expected: ManifestKey) {
  assert.equal(key.thumbprint, expected.thumbprint)
  assert.equal(key.kid, expected.kid ?? expected.thumbprint)
  if (key.use === 'sig') {
    assert.ok(sameAlgorithm(key.algorithm, expected.alg), `${key.algorithm} for ${expected.alg}`)
  }
  assert.equal(key.private, !expected.publicOnly)
  if (expected.alias !== undefined) assert.equal(key.alias, expected.alias)
  const { kty, n, e, crv, x, y } = expected.public
  const members = Object.entries({ kty, n, e, crv, x, y }).filter(([, value]) => value)
  assert.deepEqual(publicHalf(key.jwk), Object.fromEntries(members))
  if (key.use === 'enc') return
  if (expected.jws) {
    await compactVerify(
      expected.jws,
      createPublicKey({ key: publicHalf(key.jwk) as never, format: 'jwk' }),
    )
  }
  if (key.private) await assertSigns(key, expected)
}

describe('a key file', { skip: withoutVectors }, () => {
  it('is there for each of the 128 cases', () => {
    assert.equal(manifest.entries.length, 128)
  })

  for (const entry of manifest.entries) {
    const code = CODES[entry.file]
    if (code) {
      it(`${entry.file} is refused with ${code}: ${entry.reason}`, async () => {
        assert.notEqual(entry.expect, 'read')
        const error = await read(entry).then(
          () => assert.fail('was read'),
          (reason: unknown) => reason,
        )
        assert.ok(error instanceof ImportRefused, String(error))
        assert.equal(error.code, code, error.message)
        if (entry.password) assert.ok(!error.message.includes(entry.password))
        assert.equal(error.cause, undefined)
      })
      continue
    }
    it(`${entry.file} is read`, async () => {
      assert.notEqual(entry.expect, 'refuse')
      const { keys, left } = await read(entry)
      assert.equal(keys.length, entry.keys?.length)
      for (const expected of entry.keys ?? []) {
        const key = keys.find(({ thumbprint }) => thumbprint === expected.thumbprint)
        assert.ok(key, `no key ${expected.thumbprint}`)
        await assertKey(key, expected)
      }
      if (entry.chain) assert.equal(keys[0]?.certificates.length, entry.chain)
      if (entry.passedOver)
        assert.deepEqual(
          left.map(({ name }) => name),
          entry.passedOver,
        )
    })
  }
})

describe('an encrypted PKCS#8', { skip: withoutVectors }, () => {
  for (const cipher of ['camellia-128-cbc', 'camellia-256-cbc', 'aria-192-cbc', 'aria-256-cbc']) {
    it(`is read with ${cipher}`, async () => {
      const clear = createPrivateKey(vector('pem', 'ec-p384-pkcs8.pem'))
      const options = { type: 'pkcs8', format: 'pem', cipher, passphrase: 'test-only' } as const
      const bytes = Buffer.from(clear.export(options))
      const { keys } = await readKeyFile(bytes, { name: 'FILE', password: 'test-only', now: NOW })
      assert.equal(keys[0]?.jwk.x, clear.export({ format: 'jwk' }).x)
    })
  }
})
