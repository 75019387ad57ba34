import assert from 'node:assert/strict'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { cp, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { temporaryFolder } from '../../lab/temporary.ts'
import { vector, withoutVectors } from '../../lab/vectors.ts'
import { loadCertificate } from '../../src/data-protection/certificate-file.ts'
import { openDirectoryStore } from '../../src/data-protection/directory-store.ts'
import { openElementStore } from '../../src/data-protection/element-store.ts'
import type { KeyRing } from '../../src/data-protection/key-ring.ts'
import { openKeyRing } from '../../src/data-protection/open-key-ring.ts'
import { assembleRing } from '../../src/data-protection/ring.ts'
import {
  certificatesOf,
  ENTRIES,
  openEntry,
  storedElements,
  VECTORS,
  type VectorEntry,
} from './vectors.ts'

const byId = (a: { id: string }, b: { id: string }) => (a.id < b.id ? -1 : 1)

function expectedKeys({ keys }: VectorEntry) {
  return keys
    .map(({ id, creationDate, activationDate, expirationDate, revoked }) => {
      return { id, creationDate, activationDate, expirationDate, revoked }
    })
    .toSorted(byId)
}

const name = ({ file, certificates }: VectorEntry) =>
  certificates ? `${file} with ${certificates.map((c) => c.file).join(' and ')}` : file

describe('a key ring made by ASP.NET Core', { skip: withoutVectors }, () => {
  for (const entry of ENTRIES) {
    it(`is read as ASP.NET Core reads it: ${name(entry)}`, async () => {
      await using ring = await openEntry(entry)
      assert.deepEqual([...ring.keys].toSorted(byId), expectedKeys(entry))
      assertProblems(ring, entry)
      if (entry.expect === 'either') return
      assert.deepEqual(ring.defaultKey(entry.at), {
        key: entry.defaultKey,
        fallback: entry.fallbackKey,
        shouldGenerate: entry.shouldGenerate,
      })
      const payload = ring.createProtector('x').protect(Buffer.from('x'))
      const opened = ring.createProtector('x').dangerousUnprotect(payload)
      assert.deepEqual(opened, {
        data: Buffer.from('x'),
        requiresMigration: false,
        wasRevoked: false,
      })
    })

    it(`has the algorithms and secrets that the manifest tells: ${name(entry)}`, async () => {
      const store =
        entry.kind === 'directory'
          ? openDirectoryStore(join(VECTORS, entry.file))
          : openElementStore(storedElements(entry))
      const certificates = await Promise.all(certificatesOf(entry).map(loadCertificate))
      const { keys } = assembleRing((await store.read()).elements, certificates)
      const headers = keys.map(({ id, encryptor }) => {
        const opened = encryptor()
        return [id, 'code' in opened ? undefined : opened.contextHeader.toString('hex')]
      })
      assert.deepEqual(
        new Map(headers.toSorted() as [string, string][]),
        new Map(
          entry.keys.map((key) => [key.id, key.contextHeader] as const).toSorted() as [
            string,
            string,
          ][],
        ),
      )
    })
  }

  it('is the same as pg_dump and as CSV', async () => {
    const entry = ENTRIES.find(({ alsoAs }) => alsoAs)
    assert.ok(entry?.alsoAs)
    const dumped = storedElements(entry)
    assert.equal(dumped.length, 5)
    assert.deepEqual(storedElements(entry, entry.alsoAs), dumped)
  })

  it('uses the CNG descriptors as the algorithms that they name', async () => {
    const entry = ENTRIES.find(({ file }) => file === 'rings/cng')
    assert.ok(entry)
    await using ring = await openEntry(entry)
    assert.equal(ring.defaultKey(entry.at).key, 'b293cdcb-e243-4182-9bf3-6b5617bd39a8')
  })
})

/** Keys that are out of reach are problems; nothing else is one. */
function assertProblems(ring: KeyRing, entry: VectorEntry) {
  const lost = entry.keys.filter(({ contextHeader }) => contextHeader === undefined)
  assert.deepEqual(
    ring.problems.map(({ code, keyId }) => ({ code, keyId })),
    lost.map(({ id }) => ({ code: 'certificate_missing', keyId: id })),
  )
}

describe('opening a key ring', { skip: withoutVectors }, () => {
  const now = () => new Date('2026-11-28T14:00:00Z')

  it('is refused where the directory is not there, since its volume may not be mounted', async () => {
    await assert.rejects(openKeyRing({ directory: join(VECTORS, 'rings/none'), now }), {
      code: 'ring_unavailable',
      message: /rings\/none.*ENOENT.*mount/,
    })
  })

  it('is refused without a source and with two', async () => {
    await assert.rejects(openKeyRing({ now }), TypeError)
    await assert.rejects(openKeyRing({ now, directory: VECTORS, elements: [] }), TypeError)
  })

  it('passes over empty rows, and names a byte-order mark at which ASP.NET Core breaks', async () => {
    const entry = ENTRIES.find(({ kind }) => kind === 'redis')
    assert.ok(entry)
    const [first = '', ...rest] = storedElements(entry) as string[]
    const elements = [null, '', `\ufeff${first}`, ...rest]
    await using ring = await openEntry(entry, { elements })
    assert.equal(ring.keys.length, entry.keys.length)
    assert.deepEqual(
      ring.problems.map(({ code, source }) => ({ code, source })),
      [{ code: 'byte_order_mark', source: 'element 3' }],
    )
  })

  it('finds what came since when it is read again, also for protectors of before', async () => {
    await using folder = await temporaryFolder()
    const entry = ENTRIES.find(({ file }) => file === 'rings/default')
    assert.ok(entry)
    const [first, ...rest] = await readdir(join(VECTORS, entry.file))
    const copy = (file: string) => cp(join(VECTORS, entry.file, file), join(folder.path, file))
    await using whole = await openEntry(entry)
    const payload = whole.createProtector('x').protect(Buffer.from('new'))

    await using ring = await openKeyRing({ directory: folder.path, now })
    const protector = ring.createProtector('x')
    assert.throws(() => protector.unprotect(payload), { code: 'payload_key_unknown' })
    assert.throws(() => protector.protect(Buffer.from('x')), { code: 'no_default_key' })
    for (const file of rest) await copy(file)
    await copy(first ?? '')
    await ring.reload()
    assert.equal(protector.unprotect(payload).toString(), 'new')
  })
})

describe('a certificate of a key ring', { skip: withoutVectors }, () => {
  it('in PEM is opened with its password, and refused where that takes more rounds than anybody needs', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'certificate.pem')
    const pem = vector('pem', 'key-then-chain.pem').toString()
    const certificate = new X509Certificate(pem).toString()
    const encryption = { cipher: 'aes-256-cbc', passphrase: 'secret' }
    const key = createPrivateKey(pem).export({ type: 'pkcs8', format: 'pem', ...encryption })
    await writeFile(file, `${certificate}\n${key}`)
    const loaded = await loadCertificate({ file, password: 'secret' })
    assert.ok(loaded.privateKey.equals(createPrivateKey(pem)))
    for (const password of [undefined, 'wrong']) {
      const named = { file, ...(password !== undefined && { password }) }
      await assert.rejects(loadCertificate(named), { message: /the password is wrong/ })
    }
    const slow = vector('pem', 'rsa-pbes2-aes256-sha256.pem').toString()
    const der = Buffer.from(slow.replace(/-----.*|\s/g, ''), 'base64')
    der.writeUIntBE(0x7fffff, der.indexOf(Buffer.from('02030927c0', 'hex')) + 2, 3)
    const label = 'ENCRYPTED PRIVATE KEY-----'
    const text = `-----BEGIN ${label}\n${der.toString('base64')}\n-----END ${label}\n`
    await writeFile(file, `${certificate}\n${text}`)
    await assert.rejects(loadCertificate({ file, password: 'x' }), { message: /fewer rounds/ })
  })
})
