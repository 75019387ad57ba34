import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { withoutVectors } from '../../lab/vectors.ts'
import { loadCertificate } from '../../src/data-protection/certificate-file.ts'
import {
  keyElement,
  type NewKeyAlgorithms,
  revocationElement,
  revocationOfAllElement,
} from '../../src/data-protection/key-element.ts'
import { openKeyRing } from '../../src/data-protection/open-key-ring.ts'
import { formatTicks, formatXsdDate, ticksOf } from '../../src/values/ticks.ts'
import { certificatesOf, ENTRIES, openEntry, VECTORS } from './vectors.ts'

const now = () => new Date('2026-11-28T14:00:00Z')
const DECLARATION = '\ufeff<?xml version="1.0" encoding="utf-8"?>\n'

/** .NET keeps the offset and the version of the package that it was given; Keyturn writes UTC, as version 10. */
function inUtc(text: string): string {
  return text
    .replace(/(?<=<\w+Date>)[^<]+/g, (date) => formatXsdDate(ticksOf(date)))
    .replace(/Version=[\d.]+/g, 'Version=10.0.0.0')
}

describe('an element that Keyturn writes', { skip: withoutVectors }, () => {
  for (const entry of ENTRIES.filter(({ kind }) => kind === 'directory')) {
    const clear = entry.keys.filter(
      ({ atRest, deserializer }) =>
        atRest === 'clear' && deserializer === 'AuthenticatedEncryptorDescriptorDeserializer',
    )
    if (clear.length === 0) continue

    it(`is that of ASP.NET Core, byte for byte: ${entry.file}`, async () => {
      for (const key of clear) {
        // The names are those of the XML.
        const algorithms = {
          encryption: key.encryption,
          validation: key.validation,
        } as NewKeyAlgorithms
        const { name, indented } = keyElement({
          id: key.id,
          createdAt: ticksOf(key.creationDate),
          activatesAt: ticksOf(key.activationDate),
          expiresAt: ticksOf(key.expirationDate),
          secret: Buffer.from(key.masterKey ?? '', 'base64'),
          algorithms,
        })
        const text = await readFile(join(VECTORS, entry.file, key.in ?? ''), 'utf8')
        assert.equal(`${name}.xml`, key.in)
        assert.equal(DECLARATION + indented, inUtc(text))
      }
    })
  }

  it('is that of ASP.NET Core, byte for byte, where it revokes', async () => {
    let compared = 0
    for (const { file, revocations = [] } of ENTRIES.filter(({ kind }) => kind === 'directory')) {
      const names = await readdir(join(VECTORS, file))
      for (const { key, revocationDate, reason } of revocations) {
        const at = ticksOf(revocationDate)
        const { name, indented } =
          key === '*' ? revocationOfAllElement(at, reason) : revocationElement(key, at, reason)
        assert.ok(names.includes(`${name}.xml`), name)
        const text = await readFile(join(VECTORS, file, `${name}.xml`), 'utf8')
        assert.equal(DECLARATION + indented, inUtc(text))
        compared += 1
      }
    }
    assert.equal(compared, 6)
  })

  it('stands on one line in Redis and SQL, as there', async () => {
    const entry = ENTRIES.find(({ kind }) => kind === 'redis')
    const { lrange } = JSON.parse(await readFile(join(VECTORS, entry?.file ?? ''), 'utf8'))
    for (const key of entry?.keys.filter(({ atRest }) => atRest === 'clear') ?? []) {
      const { line } = keyElement({
        id: key.id,
        createdAt: ticksOf(key.creationDate),
        activatesAt: ticksOf(key.activationDate),
        expiresAt: ticksOf(key.expirationDate),
        secret: Buffer.from(key.masterKey ?? '', 'base64'),
      })
      assert.ok(lrange.includes(line))
    }
  })

  it('has its secret under a certificate, in the shape of ASP.NET Core, and is read back', async () => {
    const entry = ENTRIES.find(({ file }) => file === 'rings/certificate')
    assert.ok(entry)
    const [file] = certificatesOf(entry)
    assert.ok(file)
    const { certificate } = await loadCertificate(file)
    const key = entry.keys.find(({ id }) => id.startsWith('f0d6cebe'))
    assert.ok(key)
    const element = keyElement({
      id: key.id,
      createdAt: ticksOf(key.creationDate),
      activatesAt: ticksOf(key.activationDate),
      expiresAt: ticksOf(key.expirationDate),
      secret: Buffer.from(key.masterKey ?? '', 'base64'),
      certificate,
    })
    const withoutCiphertext = (text: string) => text.replace(/(?<=<CipherValue>)[^<]+/g, '')
    const text = await readFile(join(VECTORS, entry.file, key.in ?? ''), 'utf8')
    assert.equal(withoutCiphertext(DECLARATION + element.indented), withoutCiphertext(text))
    assert.ok(!element.indented.includes(key.masterKey ?? ''))

    await using theirs = await openEntry(entry)
    const payload = theirs.createProtector('x').protect(Buffer.from('under the other key'))
    for (const elements of [[element.indented], [element.line]]) {
      const ring = await openKeyRing({
        elements,
        certificates: [file],
        now: () => new Date(key.activationDate),
      })
      assert.deepEqual(ring.problems, [])
      const own = ring.createProtector('x').protect(Buffer.from('both open it'))
      await using aspNet = await openEntry(entry, { applicationName: '' })
      assert.equal(aspNet.createProtector('x').unprotect(own).toString(), 'both open it')
      assert.throws(() => ring.createProtector('x').unprotect(payload), {
        code: 'payload_key_unknown',
      })
    }
  })

  it('has no reason that XML cannot hold', () => {
    for (const reason of ['a\nb', '\u0000', '\ud800', '\uffff']) {
      assert.throws(() => revocationElement('x', ticksOf(now()), reason), TypeError)
    }
  })
})

describe('a revocation of all', { skip: withoutVectors }, () => {
  it('is named after its instant in UTC, without zeros at the end', () => {
    const at = ticksOf('2026-10-05T08:07:08.1200000+02:00')
    assert.equal(revocationOfAllElement(at, '').name, 'revocation-20261005T06070812Z')
    assert.equal(formatTicks(at), '2026-10-05T06:07:08.1200000Z')
  })
})
