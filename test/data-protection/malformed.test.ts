import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { temporaryFolder } from '../../lab/temporary.ts'
import { withoutVectors } from '../../lab/vectors.ts'
import { openKeyRing } from '../../src/data-protection/open-key-ring.ts'
import type { ProblemCode } from '../../src/data-protection/problem.ts'
import { KeyturnError } from '../../src/errors.ts'
import { readVector, VECTORS, type VectorCertificate } from './vectors.ts'

type FileText = string | { readonly same: string } | { readonly base64: string }

interface Malformed {
  readonly judgedAt: string
  readonly app: string
  readonly purposes: readonly string[]
  readonly payloads: Readonly<Record<string, string>>
  readonly texts: Readonly<Record<string, string>>
  readonly cases: readonly {
    name: string
    certificate?: VectorCertificate
    files: Readonly<Record<string, FileText>>
    ours: Readonly<Record<string, 'opens' | 'throws' | 'either'>>
    dotnet: { payloads: readonly { name: string; outcome: string; plain?: string }[] }
  }[]
}

const vector = readVector<Malformed>('malformed.json')
const now = () => new Date(vector.judgedAt)

/** The bad one of the two files, in our words. */
const PROBLEMS: Readonly<Record<string, ProblemCode>> = {
  'half-written: cut in the middle': 'xml_malformed',
  'empty file': 'xml_malformed',
  'same id twice, other secret': 'key_duplicate',
  'unknown root element': 'element_unknown',
  'missing creationDate': 'key_date_invalid',
  'missing descriptor': 'descriptor_invalid',
  'bad base64': 'secret_invalid',
  'secret of 32 bytes': 'secret_invalid',
  'unknown encryption algorithm': 'algorithm_unknown',
  'deserializer: type of an assembly that is not there': 'descriptor_invalid',
  'DTD with an external entity (a file)': 'xml_doctype',
  'DTD: entity bomb (10 to the 10 characters)': 'xml_doctype',
  'foreign encryptor: DPAPI (handmade)': 'encryptor_foreign',
  'foreign encryptor: Azure Key Vault (handmade)': 'encryptor_foreign',
  'certificate key: wrapped key changed': 'secret_undecryptable',
}

function bytesOf(file: FileText): Buffer {
  if (typeof file === 'object' && 'base64' in file) return Buffer.from(file.base64, 'base64')
  const text = typeof file === 'string' ? file : (vector.texts[file.same] ?? '')
  return Buffer.from(`\ufeff${text}`)
}

describe('a ring with a bad file', { skip: withoutVectors }, () => {
  for (const { name, certificate, files, ours, dotnet } of vector.cases) {
    it(`harms no good key: ${name}`, async () => {
      await using folder = await temporaryFolder()
      for (const [file, text] of Object.entries(files)) {
        await writeFile(join(folder.path, file), bytesOf(text))
      }
      const certificates = certificate
        ? [{ file: join(VECTORS, certificate.file), password: certificate.password }]
        : []
      const open = () =>
        openKeyRing({ directory: folder.path, certificates, applicationName: vector.app, now })
      const isFatal = Object.values(ours).every((outcome) => outcome === 'throws')
      if (isFatal) {
        await assert.rejects(open(), { code: 'revocation_unreadable' })
        return
      }
      const ring = await open()
      for (const [payload, outcome] of Object.entries(ours)) {
        const bytes = Buffer.from(vector.payloads[payload] ?? '', 'base64url')
        const unprotect = () => ring.createProtector(...vector.purposes).unprotect(bytes)
        const isBad = outcome === 'throws' || (outcome === 'either' && payload !== 'good key')
        if (isBad) {
          assert.throws(unprotect, KeyturnError)
        } else {
          const plain = dotnet.payloads.find((p) => p.name === payload)?.plain
          const text = unprotect().toString('hex')
          if (plain !== undefined) assert.equal(text, plain)
        }
      }
      const expected = PROBLEMS[name]
      assert.deepEqual(
        [...new Set(ring.problems.map(({ code }) => code))],
        expected ? [expected] : [],
      )
      assertNoSecret(ring.problems)
    })
  }

  it('names who encrypted what only another system can open', async () => {
    const named = vector.cases.filter(({ name }) => name.startsWith('foreign encryptor'))
    for (const [i, who] of [/DPAPI/, /Azure Key Vault/].entries()) {
      const elements = Object.values(named[i]?.files ?? {}).map((f) =>
        bytesOf(f).toString().slice(1),
      )
      const ring = await openKeyRing({ elements, now })
      assert.match(ring.problems[0]?.message ?? '', who)
    }
  })
})

const SECRET = /[A-Za-z0-9+/]{40,}/

function assertNoSecret(problems: readonly { message: string }[]) {
  for (const { message } of problems) {
    assert.doesNotMatch(message.replace(/SHA-256 [\da-f]{64}/, ''), SECRET)
  }
}

function ringOf(...elements: (string | { source: string; text: string })[]) {
  return openKeyRing({ elements, applicationName: vector.app, now })
}

describe('an element of a ring', { skip: withoutVectors }, () => {
  const { good = '', other = '' } = vector.texts

  it('that stands twice with the same text is used, and named, since ASP.NET Core breaks at it', async () => {
    const ring = await ringOf(good, other, other)
    assert.equal(ring.keys.length, 2)
    assert.deepEqual(
      ring.problems.map(({ code, source, keyId }) => ({ code, source, keyId })),
      [
        {
          code: 'key_duplicate',
          source: 'element 3',
          keyId: '23ee6b10-2867-444d-bb02-bd2613da00a8',
        },
      ],
    )
    const bytes = Buffer.from(vector.payloads['other key'] ?? '', 'base64url')
    assert.equal(
      ring
        .createProtector(...vector.purposes)
        .unprotect(bytes)
        .toString(),
      'by the other key',
    )
  })

  const broken: readonly (readonly [string, string, ProblemCode])[] = [
    ['has no id', other.replace(/ id="[^"]*"/, ''), 'key_id_invalid'],
    ['has an id that is no GUID', other.replace(/ id="[^"]*"/, ' id="x"'), 'key_id_invalid'],
    [
      'has a day that does not exist',
      other.replace('2026-11-02', '2026-11-31'),
      'key_date_invalid',
    ],
    ['has a blank for the T', other.replace('02T00', '02 00'), 'key_date_invalid'],
    ['has an hour 24', other.replace('02T00', '02T24'), 'key_date_invalid'],
    ['has an offset of 15 h', other.replace('00Z', '00+15:00'), 'key_date_invalid'],
    ['has a date without zone', other.replace('00Z', '00'), 'key_date_without_zone'],
    ['has an empty secret', other.replace(/<value>.*<\/value>/, '<value/>'), 'secret_invalid'],
    ['has no secret', other.replace(/<value>.*<\/value>/, ''), 'secret_invalid'],
    ['is in another namespace', other.replace('<key ', '<key xmlns="x" '), 'element_unknown'],
    ['is nested too deep', '<a>'.repeat(70) + '</a>'.repeat(70), 'xml_too_large'],
    ['is far too large', `<key>${' '.repeat(2 ** 20)}</key>`, 'xml_too_large'],
    ['has an entity that nobody defined', other.replace('HMACSHA256', '&x;'), 'xml_malformed'],
    ['is followed by another root', `${other}<key/>`, 'xml_malformed'],
    ['has a NUL', `${other}\0`, 'xml_malformed'],
  ]
  for (const [what, text, code] of broken) {
    it(`that ${what} is named and harms no other`, async () => {
      const ring = await ringOf(good, text)
      assert.deepEqual(
        ring.problems.map((problem) => problem.code),
        [code],
      )
      const bytes = Buffer.from(vector.payloads['good key'] ?? '', 'base64url')
      assert.equal(
        ring
          .createProtector(...vector.purposes)
          .unprotect(bytes)
          .toString(),
        'by the good key',
      )
      assertNoSecret(ring.problems)
    })
  }

  const revocation = '<revocation version="1"><key id="*"/><reason>x</reason></revocation>'
  const unreadable: readonly (readonly [string, { source: string; text: string }])[] = [
    ['whose date of all is missing', { source: 'x.xml', text: revocation }],
    ['that is cut off', { source: 'x.xml', text: revocation.slice(0, 30) }],
    ['that is cut off in its name', { source: 'x.xml', text: revocation.slice(0, 6) }],
    ['with a document type', { source: 'x.xml', text: `<!DOCTYPE x>${revocation}` }],
    ['of which only the file name is left', { source: 'revocation-1.xml', text: '\n' }],
    ['whose id is no GUID', { source: 'x.xml', text: revocation.replace('*', 'all') }],
  ]
  for (const [what, element] of unreadable) {
    it(`that is a revocation ${what} stops the whole ring`, async () => {
      await assert.rejects(ringOf(good, element), {
        code: 'revocation_unreadable',
        message: new RegExp(element.source),
      })
    })
  }

  const byDate =
    '<?xml version="1.0" encoding="ENCODING"?>\n<revocation version="1">' +
    '<revocationDate>2026-11-03T00:00:00Z</revocationDate><key id="*"/><reason>gr\u00fcn</reason></revocation>'
  const padded = `<!--${' '.repeat(3 * 2 ** 20)}-->`
  const foreign: readonly (readonly [string, Buffer])[] = [
    ['in Latin-1', Buffer.from(byDate.replace('ENCODING', 'iso-8859-1'), 'latin1')],
    ['in UTF-32', Buffer.from([...byDate].flatMap((one) => [one.charCodeAt(0), 0, 0, 0]))],
    ['far too large', Buffer.from(byDate.replace('</rev', `${padded}</rev`))],
    ['larger than a whole ring', Buffer.from(byDate.replace('</rev', `${padded.repeat(11)}</rev`))],
  ]
  for (const [what, bytes] of foreign) {
    it(`that may be a revocation ${what} stops the whole ring, whatever its name`, async () => {
      await using folder = await temporaryFolder()
      await writeFile(join(folder.path, 'a.xml'), good)
      await writeFile(join(folder.path, 'b.xml'), bytes)
      await assert.rejects(openKeyRing({ directory: folder.path, now }), {
        code: 'revocation_unreadable',
        message: /^b\.xml /,
      })
    })
  }

  it('that is a revocation in UTF-16 without a mark revokes, as .NET knows it by its declaration', async () => {
    await using folder = await temporaryFolder()
    const little = Buffer.from(byDate.replace('ENCODING', 'utf-16'), 'utf16le')
    for (const bytes of [little, Buffer.from(little).swap16()]) {
      await writeFile(join(folder.path, 'a.xml'), good)
      await writeFile(join(folder.path, 'b.xml'), bytes)
      const ring = await openKeyRing({ directory: folder.path, now })
      assert.deepEqual(ring.problems, [])
      assert.deepEqual(
        ring.keys.map(({ revoked }) => revoked),
        [true],
      )
    }
  })

  it('is read where larger files would fill the memory', async () => {
    await using folder = await temporaryFolder()
    const comment = Buffer.from(`<!--${' '.repeat(2 ** 21)}-->`)
    for (let at = 0; at < 20; at++) await writeFile(join(folder.path, `a${at}.xml`), comment)
    await writeFile(join(folder.path, 'key-good.xml'), good)
    const { keys, problems } = await openKeyRing({ directory: folder.path, now })
    assert.equal(keys.length, 1)
    assert.deepEqual([...new Set(problems.map(({ code }) => code))], ['xml_too_large'])
    assert.equal(problems.length, 20)
  })

  it('that has ten thousand attributes is refused', async () => {
    const attributes = Array.from({ length: 10_001 }, (_, at) => ` a${at}=""`).join('')
    const ring = await ringOf(good, other.replace('<key ', `<key${attributes} `))
    assert.deepEqual(
      ring.problems.map(({ code }) => code),
      ['xml_too_large'],
    )
    assert.equal(ring.keys.length, 1)
  })

  it('that is a directory stops nothing, and a link into nowhere is passed over', async () => {
    await using folder = await temporaryFolder()
    await writeFile(join(folder.path, 'key-good.xml'), good)
    await mkdir(join(folder.path, 'key-x.xml'))
    await writeFile(join(folder.path, 'key-half.tmp'), '<key')
    await writeFile(join(folder.path, 'KEY.XML'), '<key')
    const ring = await openKeyRing({ directory: folder.path, now })
    assert.deepEqual(
      ring.problems.map(({ code, source }) => ({ code, source })),
      [{ code: 'file_unreadable', source: 'key-x.xml' }],
    )
    assert.equal(ring.keys.length, 1)
  })

  it('in UTF-16 with a mark is read as .NET reads it', async () => {
    await using folder = await temporaryFolder()
    const text = good.replace('encoding="utf-8"', 'encoding="utf-16"')
    await writeFile(join(folder.path, 'a.xml'), Buffer.from(`\ufeff${text}`, 'utf16le'))
    await writeFile(join(folder.path, 'b.xml'), Buffer.from([0xc3, 0x28]))
    const ring = await openKeyRing({ directory: folder.path, now })
    assert.equal(ring.keys.length, 1)
    assert.deepEqual(
      ring.problems.map(({ code }) => code),
      ['text_malformed'],
    )
  })
})
