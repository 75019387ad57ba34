import assert from 'node:assert/strict'
import { checkPrimeSync, generateKeyPairSync, generatePrimeSync, randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { vector, withoutVectors } from '../../lab/vectors.ts'
import { ImportRefused } from '../../src/errors.ts'
import { leftOut } from '../../src/import/imported-key.ts'
import { readJwksFile } from '../../src/import/jwks-file.ts'
import { readKeyFile } from '../../src/import/key-file.ts'
import { readKeycloak } from '../../src/import/keycloak.ts'
import { createPasswordWork, createSourceWork } from '../../src/import/password-encryption.ts'
import { fromBigint } from '../../src/import/unsigned.ts'

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

describe('RSA keys', () => {
  const EXPONENT = 65_537n
  const member = (value: bigint) => fromBigint(value).toString('base64url')
  const inverseOfExponent = (modulus: bigint) => {
    for (let k = 1n; ; k++)
      if ((k * modulus + 1n) % EXPONENT === 0n) return (k * modulus + 1n) / EXPONENT
  }
  const prime = (bits: number): bigint => {
    for (;;) {
      const found = generatePrimeSync(bits, { bigint: true })
      if (found % EXPONENT !== 1n) return found
    }
  }
  const jwkOf = (p: bigint, q: bigint, d = inverseOfExponent((p - 1n) * (q - 1n))) => ({
    ...{ kty: 'RSA', n: member(p * q), e: member(EXPONENT), d: member(d) },
  })
  const read = (keys: readonly object[]) =>
    readJwksFile(Buffer.from(JSON.stringify({ keys })), { name: 'FILE' })
  const refused = (jwk: object, code: string) =>
    assert.rejects(readKeyFile(Buffer.from(JSON.stringify(jwk)), { name: 'FILE', now: 0 }), {
      code,
    })

  it('without p and q get them: a thousand in seconds, whole or damaged', async () => {
    const [p, q] = [prime(2048), prime(2048)]
    const whole = jwkOf(p, q)
    const damaged = { ...whole, d: member(inverseOfExponent((p - 1n) * (q - 1n)) + 2n) }
    const many = Array.from({ length: 998 }, (_, at) => ({ ...damaged, kid: `damaged ${at}` }))
    const { keys, left } = await read([{ ...whole, kid: 'whole' }, ...many])
    assert.deepEqual(
      keys.map(({ kid, jwk }) => [kid, [jwk.p, jwk.q].sort()]),
      [['whole', [member(p), member(q)].sort()]],
    )
    assert.deepEqual([...new Set(left.map(({ code }) => code))], ['key_halves_differ'])
  })

  it('without p and q get them too where d is that of the least common multiple', async () => {
    // Both primes less one have a large common divisor, so that the multiple is far from the product.
    const common = prime(200)
    const near = (bits: number): bigint => {
      for (;;) {
        const random = BigInt(`0x${randomBytes((bits - 200) / 8).toString('hex')}`)
        const candidate = random * common * 2n + 1n
        if (checkPrimeSync(candidate) && candidate % EXPONENT !== 1n) return candidate
      }
    }
    const [p, q] = [near(1040), near(1040)]
    const { keys } = await read([
      jwkOf(p, q, inverseOfExponent(((p - 1n) * (q - 1n)) / common / 2n)),
    ])
    assert.equal(keys.length, 1)
  })

  it('are refused where anybody can work out the private half', async () => {
    const [long, half] = [prime(2046), prime(1024)]
    const whole = (p: bigint, q: bigint) => ({ ...jwkOf(p, q), p: member(p), q: member(q) })
    await refused(whole(3n, long), 'key_weak')
    await refused({ kty: 'RSA', n: member(long * 3n), e: member(EXPONENT) }, 'key_weak')
    let neighbour = half + 2n
    while (!checkPrimeSync(neighbour) || neighbour % EXPONENT === 1n) neighbour += 2n
    await refused(whole(half, neighbour), 'key_weak')
    await refused(jwkOf(half, neighbour), 'key_weak')
    const single = prime(2048)
    await refused(jwkOf(1n, single, inverseOfExponent(single - 1n)), 'key_halves_differ')
  })
})

describe('a public key of Ed25519', () => {
  const read = (x: string | Buffer) => {
    const jwk = { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(x).toString('base64url') }
    return readKeyFile(Buffer.from(JSON.stringify(jwk)), { name: 'FILE', now: 0 })
  }

  it('is read where it is a point of the curve', async () => {
    for (let round = 0; round < 8; round++) {
      const { publicKey } = generateKeyPairSync('ed25519')
      const { x = '' } = publicKey.export({ format: 'jwk' })
      assert.equal((await read(Buffer.from(x, 'base64url'))).keys[0]?.jwk.x, x)
    }
  })

  it('is refused where it is none, or one under which anybody could sign', async () => {
    for (const hex of [
      ...['02'.padEnd(64, '0'), '00'.repeat(32), '01'.padEnd(64, '0')],
      ...[`ec${'ff'.repeat(30)}7f`, `ee${'ff'.repeat(30)}7f`, 'ff'.repeat(32)],
      ...['26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05'],
      ...['c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa'],
    ]) {
      await assert.rejects(read(Buffer.from(hex, 'hex')), { code: 'key_malformed' }, hex)
    }
  })
})

describe('a source of very many files under passwords', () => {
  it('is refused once they take minutes together, though each is within its bounds', () => {
    const source = createSourceWork()
    for (let file = 0; file < 30; file++) createPasswordWork(source).spend(10_000_000)
    assert.throws(() => createPasswordWork(source).spend(1), {
      code: 'input_too_large',
      message: /Import it in parts/,
    })
  })

  it('counts the rounds of an encrypted JWK', { skip: withoutVectors }, async () => {
    const source = createSourceWork()
    const jwe = vector('pem', 'encrypted.jwk.jwe')
    source.spend(300_000_000)
    const work = createPasswordWork(source)
    await assert.rejects(readKeyFile(jwe, { name: 'FILE', password: 'x', work, now: 0 }), {
      code: 'input_too_large',
    })
  })
})

describe('a name in a source', () => {
  it('controls no terminal from a message, and is cut where it is endless', async () => {
    const name = `\u001b[2J\r\u0000\ud800${'n'.repeat(100_000)}`
    const providerType = 'org.keycloak.keys.KeyProvider'
    const config = { privateKey: ['AAAA'] }
    const list = ['rsa', 'toString'].map((providerId) => ({
      name,
      providerId,
      providerType,
      config,
    }))
    const read = readKeycloak(Buffer.from(JSON.stringify(list)), { name: 'FILE', now: 0 })
    await assert.rejects(read, (error: Error) => {
      assert.doesNotMatch(error.message, /(?!\n)[\p{Cc}\p{Cs}]/u)
      assert.ok(error.message.length < 5000)
      return true
    })
    const refused = new ImportRefused('no_keys', 'There is none.')
    assert.equal(leftOut(name, refused).name.length, 600)
    assert.ok(leftOut(name, refused).name.isWellFormed())
  })

  it('is no kid where it has nothing but blanks', async () => {
    for (const kid of ['', ' ', '\u00a0\u3000']) {
      const jwk = { kty: 'EC', crv: 'P-256', ...POINT, kid }
      const read = readKeyFile(Buffer.from(JSON.stringify(jwk)), { name: 'FILE', now: 0 })
      await assert.rejects(read, { code: 'kid_malformed' })
    }
  })
})

/** The base point of P-256. */
const POINT = {
  x: 'axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY',
  y: 'T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU',
}
