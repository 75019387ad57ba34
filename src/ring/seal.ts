import { isDeepStrictEqual } from 'node:util'
import { CompactEncrypt, compactDecrypt, errors, type JWK } from 'jose'
import { KekMissing, SealBroken } from '../errors.ts'
import type { BoundNames } from './bound-names.ts'
import type { SerializedKey } from './key-store.ts'
import { openedKey, type RingKey, type SealedFacts } from './ring-key.ts'
import { readHeader, SEALED_KEY } from './sealed-header.ts'

/**
 * Sealing at rest. A key is a compact JWE (RFC 7516). Its payload is the JWK, encrypted with
 * A256GCM under a data key that the key-encryption key (KEK) wraps; its protected header carries
 * every other field of the record. The encryption authenticates the header, and the record's fields
 * must equal it, so a key with an edited field refuses to open. That also binds the kid to the key,
 * because the kid of a key that moved in is no thumbprint.
 */

/** A key-encryption key. */
export interface Kek {
  /** kid in the header of every key sealed under it. */
  readonly kid: string
  /** 256 bits. */
  readonly secret: Uint8Array
  /** Other kids by which headers of earlier versions may name it (`kek-text.ts`). */
  readonly formerKids?: readonly string[]
}

/** Content of a seal besides the key's own record. */
export interface SealContext {
  /** kid of the secret of the deployment that the key belongs to (`deployment.ts`). */
  readonly deployment?: string
  /** The name that the records of its issuer are bound to; absent if that is ''. */
  readonly issuer?: string
  readonly knows?: readonly string[]
  /** Names that records of issuers are bound to; only in the record of the deployment's secret. */
  readonly issuers?: BoundNames
}

/** Seals and opens single records of any purpose. */
export interface KeySealer {
  /** Seals a JWK under the newest KEK. */
  seal(facts: SealedFacts, jwk: JWK, context?: SealContext): Promise<SerializedKey>
  /**
   * Opens a key and checks that its record is as it was written.
   * @throws KekMissing, SealBroken
   */
  open(record: SerializedKey): Promise<OpenedRecord>
  /**
   * The JWK as it was sealed, with its private half if it has one, to take keys to another system.
   * @throws KekMissing, SealBroken
   */
  reveal(record: SerializedKey): Promise<JWK>
  /** kid of the key-encryption key that seals new records. */
  newest(): string
}

/** A key, and the deployment and issuer for which it was sealed. */
export interface OpenedRecord {
  readonly key: RingKey
  readonly deployment: string | undefined
  /** Name of the issuer; '' if the seal names none. */
  readonly issuer: string
  /** Undefined if the seal has no names of issuers. */
  readonly issuers: BoundNames | undefined
}

const RECORD_VERSION = 1
const WRAP = 'A256GCMKW'
const ENCRYPTION = 'A256GCM'

/** @param keks newest first: the first one seals, all of them open */
export function createSealer(keks: readonly Kek[]): KeySealer {
  const newest = keks[0]
  if (!newest) throw new TypeError('a sealer needs at least one key-encryption key')

  const seal: KeySealer['seal'] = async (facts, jwk, context) => {
    const fields = {
      id: facts.kid,
      version: RECORD_VERSION,
      ring: facts.ring,
      generation: facts.generation,
      algorithm: facts.algorithm,
      created: facts.createdAt,
      activatesAt: facts.activatesAt,
      retention: facts.retention,
      isX509Certificate: false,
      dataProtected: true,
    }
    const { verifiesOnly, signsUntil } = facts
    const header = {
      ...{ alg: WRAP, enc: ENCRYPTION, kid: newest.kid, typ: SEALED_KEY, key: fields },
      ...(verifiesOnly && { verifiesOnly }),
      ...(signsUntil !== undefined && { signsUntil }),
    }
    const data = await new CompactEncrypt(new TextEncoder().encode(JSON.stringify(jwk)))
      .setProtectedHeader({ ...header, ...context })
      .encrypt(newest.secret)
    return { ...fields, data }
  }

  async function unseal(record: SerializedKey) {
    const { data, ...fields } = record
    const header = readHeader(record)
    const kek = keks.find(
      (each) => each.kid === header.kid || each.formerKids?.includes(header.kid),
    )
    if (!kek) {
      throw new KekMissing(
        `Key ${record.id} of ring ${record.ring} is sealed under key-encryption key ${header.kid}, ` +
          'which this node does not have. The key is kept and not replaced. Add that key-encryption ' +
          'key to the file or setting that holds the others (see seal.* in the configuration).',
        { isNeeded: true },
      )
    }
    const changed = changedFields(fields, header.key)
    if (changed.length > 0) {
      throw new SealBroken(record.id, `field ${changed.join(', ')} was edited in the store`)
    }
    return { header, jwk: await decrypt(record, kek) }
  }

  return {
    seal,
    newest: () => newest.kid,
    open: async (record) => {
      const { header, jwk } = await unseal(record)
      const { deployment, issuer, issuers } = header
      return { key: openedKey(record, jwk, header), deployment, issuer, issuers }
    },
    reveal: async (record) => (await unseal(record)).jwk,
  }
}

async function decrypt(record: SerializedKey, kek: Kek): Promise<JWK> {
  try {
    const { plaintext } = await compactDecrypt(record.data, kek.secret, {
      keyManagementAlgorithms: [WRAP],
      contentEncryptionAlgorithms: [ENCRYPTION],
    })
    return JSON.parse(new TextDecoder().decode(plaintext))
  } catch (cause) {
    const detail =
      cause instanceof errors.JWEDecryptionFailed
        ? `key-encryption key ${kek.kid} does not fit, or its data was edited`
        : 'its data is damaged'
    throw new SealBroken(record.id, detail, cause)
  }
}

function changedFields(fields: object, sealed: Record<string, unknown>): readonly string[] {
  const record: Record<string, unknown> = { ...fields }
  const names = new Set([...Object.keys(record), ...Object.keys(sealed)])
  return [...names].filter((name) => !isDeepStrictEqual(record[name], sealed[name]))
}
