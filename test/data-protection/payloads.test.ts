import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { withoutVectors } from '../../lab/vectors.ts'
import { loadCertificate } from '../../src/data-protection/certificate-file.ts'
import { openDirectoryStore } from '../../src/data-protection/directory-store.ts'
import { openElementStore } from '../../src/data-protection/element-store.ts'
import { PayloadRefused } from '../../src/data-protection/errors.ts'
import {
  encodePurposes,
  HEADER_BYTES,
  readPayloadHeader,
} from '../../src/data-protection/payload.ts'
import type { Unprotected } from '../../src/data-protection/protector.ts'
import { assembleRing } from '../../src/data-protection/ring.ts'
import {
  certificatesOf,
  ENTRIES,
  openEntry,
  readVector,
  storedElements,
  VECTORS,
  type VectorEntry,
  type VectorPayload,
  type VectorPayloads,
} from './vectors.ts'

const TIME_LIMITED = 'Microsoft.AspNetCore.DataProtection.TimeLimitedDataProtector.v1'

/** What each message of ASP.NET Core is in our codes. */
const CODES: readonly (readonly [RegExp, string])[] = [
  [/was not protected with this protection provider/, 'payload_foreign'],
  [/newer version/, 'payload_version'],
  [/was not found in the key ring/, 'payload_key_unknown'],
  [/has been revoked/, 'payload_key_revoked'],
  [/payload expired/, 'payload_expired'],
  [/Unable to retrieve the decryption key/, 'payload_key_unusable'],
  [/payload (was|is) invalid|authentication tag/, 'payload_invalid'],
]

const withPayloads = ENTRIES.filter(({ payloads }) => payloads)

describe('a payload made by ASP.NET Core', { skip: withoutVectors }, () => {
  for (const entry of withPayloads) {
    const { judgedAt, payloads } = readVector<VectorPayloads>(entry.payloads ?? '')

    it(`opens, or is refused for the same reason: ${entry.payloads}`, async () => {
      const rings = new Map<string | null, Awaited<ReturnType<typeof openEntry>>>()
      for (const payload of payloads) {
        const ring =
          rings.get(payload.app) ??
          (await openEntry(entry, {
            ...(payload.app === null ? {} : { applicationName: payload.app }),
            now: () => new Date(judgedAt),
          }))
        rings.set(payload.app, ring)
        const protector = ring.createProtector(...payload.purposes)
        const bytes = Buffer.from(payload.protected, 'base64url')
        // The judged instant has no more digits than a Date, save where the ring has no payload that ends.
        const opened = attempt(() => {
          if (!payload.timeLimited) return protector.unprotect(bytes)
          const { data, expiration } = protector.toTimeLimited().unprotectWithExpiration(bytes)
          assert.equal(expiration ?? 'never', payload.expires, payload.name)
          return data
        })
        assertOutcome(opened, payload)

        const purposes = payload.timeLimited
          ? [...payload.purposes, TIME_LIMITED]
          : payload.purposes
        const told = attempt(() => ring.createProtector(...purposes).dangerousUnprotect(bytes))
        assertFlags(told, payload)
      }
    })

    it(`is made again byte for byte with the same random bytes: ${entry.payloads}`, async () => {
      const { keys } = await assemble(entry)
      let made = 0
      for (const { protected: text, app, purposes, ...payload } of payloads) {
        if (payload.outcome === 'throws' && payload.dangerousUnprotect !== 'opens') continue
        const bytes = Buffer.from(text, 'base64url')
        const encryptor = keys.find(({ id }) => id === readPayloadHeader(bytes))?.encryptor()
        assert.ok(encryptor && !('code' in encryptor))
        const chain = [...(app ? [app] : []), ...purposes]
        const encoded = encodePurposes(payload.timeLimited ? [...chain, TIME_LIMITED] : chain)
        const header = bytes.subarray(0, HEADER_BYTES)
        const sealer = encryptor.sealerFor(Buffer.concat([header, encoded]))
        const sealed = bytes.subarray(HEADER_BYTES)
        const plain = sealer.open(sealed)
        assert.ok(plain, payload.name)
        const again = sealer.seal(plain, sealed.subarray(0, sealer.randomBytes))
        assert.ok(again.equals(sealed), payload.name)
        made += 1
      }
      assert.ok(made > 0)
    })
  }
})

async function assemble(entry: VectorEntry) {
  const store =
    entry.kind === 'directory'
      ? openDirectoryStore(join(VECTORS, entry.file))
      : openElementStore(storedElements(entry))
  const certificates = await Promise.all(certificatesOf(entry).map(loadCertificate))
  return assembleRing((await store.read()).elements, certificates)
}

function attempt<T>(open: () => T): T | PayloadRefused {
  try {
    return open()
  } catch (error) {
    if (error instanceof PayloadRefused) return error
    throw error
  }
}

function assertOutcome(opened: Buffer | PayloadRefused, payload: VectorPayload) {
  if (payload.outcome === 'throws') {
    assert.ok(opened instanceof PayloadRefused, `${payload.name} opened`)
    const message = payload.error?.message ?? ''
    const code = CODES.find(([pattern]) => pattern.test(message))?.[1]
    assert.equal(opened.code, code, `${payload.name}: ${message}`)
    return
  }
  assert.ok(Buffer.isBuffer(opened), `${payload.name}: ${opened}`)
  if (payload.plain !== undefined) assert.equal(opened.toString('hex'), payload.plain, payload.name)
  if (payload.plainLength !== undefined) assert.equal(opened.length, payload.plainLength)
  if (payload.plainSha256 === undefined) return
  assert.equal(createHash('sha256').update(opened).digest('hex'), payload.plainSha256)
}

/** Absent where `DangerousUnprotect` threw too. */
function assertFlags(told: Unprotected | PayloadRefused, payload: VectorPayload) {
  if (payload.requiresMigration === undefined) {
    assert.ok(told instanceof PayloadRefused, payload.name)
    return
  }
  assert.ok(!(told instanceof PayloadRefused), `${payload.name}: ${told}`)
  const { requiresMigration, wasRevoked } = told
  assert.deepEqual(
    { requiresMigration, wasRevoked },
    { requiresMigration: payload.requiresMigration, wasRevoked: payload.wasRevoked },
    payload.name,
  )
  if (payload.dangerousUnprotect === 'opens' && payload.plain !== undefined) {
    assert.equal(told.data.toString('hex'), payload.plain, payload.name)
  }
}
