import assert from 'node:assert/strict'
import { createPublicKey } from 'node:crypto'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { compactVerify } from 'jose'
import { VECTORS, vector, withoutVectors } from '../../lab/vectors.ts'
import { openKeyRing } from '../../src/data-protection/open-key-ring.ts'
import { ImportRefused } from '../../src/errors.ts'
import { publicHalf } from '../../src/import/build-key.ts'
import { readDuendeFiles, readDuendeTable } from '../../src/import/duende.ts'
import { openRecord, recordOfFile } from '../../src/import/duende-record.ts'
import { writeDuendeFile } from '../../src/import/duende-write.ts'
import type { Imported } from '../../src/import/imported-key.ts'
import { ticksOf } from '../../src/values/ticks.ts'
import {
  type DuendeVector,
  faults,
  filesOf,
  lives,
  optionsOf,
  seconds,
  tables,
} from './duende-vectors.ts'

const PHASES = {
  active: ['active'],
  announced: ['next'],
  overtaken: ['next', 'old'],
  'retired-published': ['old'],
  'retired-gone': ['disabled'],
}

async function assertLives({ keys, left }: Imported, entry: DuendeVector) {
  assert.deepEqual(left, [])
  assert.deepEqual(keys.map(({ kid }) => kid).sort(), entry.keys.map(({ kid }) => kid).sort())
  for (const expected of entry.keys) {
    const key = keys.find(({ kid }) => kid === expected.kid)
    assert.ok(key)
    if (expected.thumbprint) assert.equal(key.thumbprint, expected.thumbprint)
    assert.equal(key.algorithm, expected.alg)
    assert.equal(key.private, true)
    assert.equal(key.createdAt, seconds(expected.created))
    assert.equal(key.certificates.length, expected.x509 ? 1 : 0)
    assert.ok(
      PHASES[expected.state].includes(key.phaseHint ?? ''),
      `${key.phaseHint} for ${expected.state}`,
    )
    if (expected.leavesJwks) {
      // A second of ours is the first whole one at or after the tick.
      assert.equal(key.expiresAt, Math.ceil(Date.parse(expected.leavesJwks) / 1000))
    }
    const publicKey = createPublicKey({ key: publicHalf(key.jwk) as never, format: 'jwk' })
    if (expected.jws) await compactVerify(expected.jws, publicKey)
  }
  for (const { at, to } of Object.values(entry.measured.nextSwitch)) {
    const next = keys.find(({ kid }) => kid === to)
    if (next) assert.equal(next.activatesAt, Math.ceil(Date.parse(at) / 1000))
  }
}

describe('the file store of IdentityServer', { skip: withoutVectors }, () => {
  it('is there in all its states and faults', () => {
    assert.ok(lives.length >= 13 && faults.length >= 36, `${lives.length}, ${faults.length}`)
  })

  for (const entry of lives) {
    it(`${entry.name} is read with phases and dates: ${entry.name}`, async () => {
      await assertLives(await readDuendeFiles(filesOf(entry), await optionsOf(entry)), entry)
    })
  }

  for (const entry of faults) {
    it(`${entry.name} is judged, and its neighbours are read`, async () => {
      const options = await optionsOf(entry)
      const imported = await readDuendeFiles(filesOf(entry), options).catch((error: unknown) => {
        assert.ok(error instanceof ImportRefused, String(error))
        return { keys: [], left: [{ name: '', code: error.code, reason: error.message }] }
      })
      const kids = imported.keys.map(({ kid }) => kid)
      for (const kid of entry.goodKeys) {
        assert.ok(kids.includes(kid) || kids.includes(kid.toLowerCase()), `${kid} of ${kids}`)
      }
      const faulty = kids.filter(
        (kid) => !entry.goodKeys.some((good) => good.toLowerCase() === kid.toLowerCase()),
      )
      if (entry.expect === 'refuse') {
        assert.deepEqual(faulty, [])
        assert.ok(imported.left.length > 0)
      }
      if (entry.expect === 'read') assert.deepEqual(imported.left, [])
      if (entry.expect === 'either') assert.ok(faulty.length + imported.left.length > 0)
    })
  }

  it('is refused, and not read for minutes, where an instant is far too long', async () => {
    const record = { Id: 'a', Algorithm: 'ES256', IsX509Certificate: false, DataProtected: false }
    const text = JSON.stringify({ ...record, Created: 'T'.repeat(200_000), Data: '{}' })
    const file = { name: 'is-signing-key-a.json', bytes: Buffer.from(text) }
    await assert.rejects(readDuendeFiles([file], { now: 0 }), { code: 'input_malformed' })
  })

  it('is refused as a whole where it is Data-Protected and no ring is given', async () => {
    const entry = lives.find(({ name }) => name === 'three-keys') as DuendeVector
    await assert.rejects(readDuendeFiles(filesOf(entry), { now: seconds(entry.now) }), {
      code: 'unprotect_missing',
    })
  })
})

describe('the table of IdentityServer', { skip: withoutVectors }, () => {
  for (const entry of tables) {
    const files = [
      entry.file,
      ...Object.keys(entry.alsoAs ?? {}),
      ...Object.keys(entry.derived ?? {}),
    ]
    for (const file of files) {
      it(`is read from ${file}`, async () => {
        const options = { ...(await optionsOf(entry)), name: file }
        await assertLives(await readDuendeTable(vector('duende', file), options), entry)
      })
    }
  }
})

describe('a file that goes back to IdentityServer', { skip: withoutVectors }, () => {
  for (const entry of lives.filter(({ ring }) => ring === undefined)) {
    it(`is the same as that of ${entry.name}, byte for byte`, async () => {
      for (const { name, bytes } of filesOf(entry)) {
        const { source, members, ...key } = await openRecord(recordOfFile(bytes, name))
        assert.equal(source, name)
        const jwk = Object.fromEntries(
          Object.entries(members).map(([member, value]) => [
            member,
            /^(kty|crv)$/.test(member)
              ? value
              : Buffer.from(String(value), 'base64').toString('base64url'),
          ]),
        )
        const written = await writeDuendeFile({ ...key, jwk })
        assert.equal(written.name, name)
        assert.equal(written.bytes.toString(), bytes.toString())
      }
    })
  }

  it('is read again where it is sealed', async () => {
    const entry = lives.find(({ name }) => name === 'first-key') as DuendeVector
    const [file] = filesOf(entry)
    assert.ok(file)
    const record = await openRecord(recordOfFile(file.bytes, file.name))
    const { keys } = await readDuendeFiles([file], await optionsOf(entry))
    const directory = join(VECTORS, 'duende', 'announced', 'ring')
    const now = () => new Date('2026-03-06T00:00:00Z')
    const ring = await openKeyRing({ directory, applicationName: 'harbour-login', now })
    const protector = ring.createProtector('DataProtectionKeyProtector')
    const jwk = keys[0]?.jwk
    assert.ok(jwk)
    const written = await writeDuendeFile({ ...record, jwk }, (bytes) => protector.protect(bytes))
    assert.match(written.bytes.toString(), /"Data":"CfDJ8/)
    const again = await openRecord(recordOfFile(written.bytes, written.name), {
      unprotect: (payload) => protector.unprotect(payload),
    })
    assert.equal(again.createdAt, ticksOf(entry.keys[0]?.created ?? ''))
    assert.equal(again.kid, entry.keys[0]?.kid)
  })
})
