import {
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  type JsonWebKeyInput,
  type KeyObject,
} from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { CompactEncrypt, compactDecrypt, decodeProtectedHeader, errors, type JWK } from 'jose'
import { KekMissing, SealBroken } from '../errors.ts'
import { isSignatureAlgorithm } from './algorithms.ts'
import type { BoundNames } from './bound-names.ts'
import type { KeyFacts, KeyPlace } from './key.ts'
import type { SerializedKey } from './key-store.ts'
import { localSigner, type Signer } from './signer.ts'

/**
 * Sealing at rest. A key is a compact JWE (RFC 7516): its payload is the JWK, encrypted with
 * A256GCM under a data key that the key-encryption key (KEK) wraps; its protected header carries
 * every other field of the record. The header is authenticated by the encryption, and the record's
 * fields must equal it, so a field edited in the store makes the key refuse to open. That binds the kid to
 * the key as well, because the kid of a key that moved in is no thumbprint.
 */

/** A key-encryption key. */
export interface Kek {
  /** Named in the header of every key sealed under it. */
  readonly kid: string
  /** 256 bits. */
  readonly secret: Uint8Array
  /** Other kids that headers of earlier versions may name it by (`kek-text.ts`). */
  readonly formerKids?: readonly string[]
}

/** A key with what can be done with it. */
export interface RingKey extends KeyFacts {
  /** What the JWKS shows (RFC 7517, section 4); undefined for a symmetric key. */
  readonly publicJwk: JWK | undefined
  /** Verifies; undefined while closed, and for a symmetric key. */
  readonly publicKey: KeyObject | undefined
  /** Signs; undefined once the private half is erased, while closed, and for a symmetric key. */
  readonly signer: Signer | undefined
  /** Of a symmetric key, such as a cookie key; undefined for all others, and while closed. */
  readonly secret: KeyObject | undefined
  /** kid of the KEK it is sealed under; null where its record does not say. */
  readonly protectedBy: string | null
  /** False for a key that does not open, of which only the record is known. */
  readonly isOpen: boolean
  /** Ids of the newest events that whoever sealed the key knew: where one is missing, it was deleted. */
  readonly knows: readonly string[]
}

/** What a seal says besides the key's own record. */
export interface SealContext {
  /** kid of the secret of the deployment that the key belongs to (`deployment.ts`). */
  readonly deployment?: string
  /** The name that the records of its issuer are bound to; absent where that is ''. */
  readonly issuer?: string
  readonly knows?: readonly string[]
  /** In the record of the deployment's secret: what records of issuers are bound to. */
  readonly issuers?: BoundNames
}

export type SealedFacts = Omit<KeyFacts, 'hasPrivateHalf' | 'isUnplaced'>

/** Seals and opens single records, whatever they are for. */
export interface KeySealer {
  /** Seals a JWK under the newest KEK. */
  seal(facts: SealedFacts, jwk: JWK, context?: SealContext): Promise<SerializedKey>
  /**
   * Opens a key and checks that its record is as it was written.
   * @throws KekMissing, SealBroken
   */
  open(record: SerializedKey): Promise<OpenedRecord>
  /**
   * The JWK as it was sealed, with its private half if it has one: for who takes keys to another system.
   * @throws KekMissing, SealBroken
   */
  reveal(record: SerializedKey): Promise<JWK>
  /** kid of the key-encryption key that seals. */
  newest(): string
}

/** A key, and what it was sealed for. */
export interface OpenedRecord {
  readonly key: RingKey
  readonly deployment: string | undefined
  /** '' where the seal names no issuer. */
  readonly issuer: string
  /** Undefined where the seal says nothing of issuers. */
  readonly issuers: BoundNames | undefined
}

interface SealedHeader {
  /** kid of the key-encryption key. */
  readonly kid: string
  readonly knows: readonly string[]
  readonly verifiesOnly: boolean
}

const RECORD_VERSION = 1
const TYPE = 'keyturn-key'
const WRAP = 'A256GCMKW'
const ENCRYPTION = 'A256GCM'

/**
 * @param keks newest first: the first seals, all open
 */
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
    const { verifiesOnly } = facts
    const header = {
      ...{ alg: WRAP, enc: ENCRYPTION, kid: newest.kid, typ: TYPE, key: fields },
      ...(verifiesOnly && { verifiesOnly }),
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
          'which this node does not have. It is kept and not replaced. Add that key-encryption ' +
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
      return { key: toRingKey(record, jwk, header), deployment, issuer, issuers }
    },
    reveal: async (record) => (await unseal(record)).jwk,
  }
}

/**
 * A key that does not open. Nothing can be done with it; but if it was revoked, it holds the place in
 * its ring that the revocation names, since it may have been the one that signed. What the record says
 * of itself is not believed: anybody who writes the store can write such a record.
 */
export function closedKey(record: SerializedKey, place?: KeyPlace): RingKey {
  const closed = { ...unopened(record), retention: 0 }
  return place ? { ...closed, ...place } : { ...closed, isUnplaced: true }
}

/** A key as its record says, for people to look at. */
export function uncheckedKey(record: SerializedKey): RingKey {
  const verifiesOnly = headerOf(record)?.verifiesOnly === true
  return {
    ...unopened(record),
    hasPrivateHalf: !verifiesOnly,
    ...(verifiesOnly && { verifiesOnly }),
  }
}

/** What the record says without being opened; no half of the key is at hand. */
function unopened(record: SerializedKey): RingKey {
  return {
    ...factsOf(record),
    publicJwk: undefined,
    publicKey: undefined,
    signer: undefined,
    secret: undefined,
    hasPrivateHalf: false,
    isOpen: false,
    protectedBy: headerOf(record)?.kid ?? null,
    knows: [],
  }
}

function factsOf(record: SerializedKey): SealedFacts {
  const {
    id: kid,
    ring,
    generation,
    algorithm,
    created: createdAt,
    activatesAt,
    retention,
  } = record
  return { kid, ring, generation, algorithm, createdAt, activatesAt, retention }
}

function headerOf({ data }: SerializedKey) {
  try {
    return decodeProtectedHeader(data)
  } catch {
    return undefined
  }
}

function readHeader(record: SerializedKey) {
  if (!record.dataProtected) {
    throw new SealBroken(record.id, 'it is not sealed (dataProtected is false)')
  }
  try {
    const header = decodeProtectedHeader(record.data)
    const { kid, key, deployment, issuer = '', issuers, knows = [] } = header
    const isKey = header.typ === TYPE && typeof kid === 'string' && isRecord(key)
    if (isKey && isTexts(knows) && typeof issuer === 'string' && isBoundNames(issuers)) {
      return {
        kid,
        key,
        knows,
        issuer,
        issuers,
        verifiesOnly: header.verifiesOnly === true,
        deployment: typeof deployment === 'string' ? deployment : undefined,
      }
    }
  } catch (cause) {
    throw new SealBroken(record.id, 'its data is not a compact JWE', cause)
  }
  throw new SealBroken(record.id, 'its data is not a key that Keyturn sealed')
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

function toRingKey(
  record: SerializedKey,
  jwk: JWK,
  { kid: protectedBy, knows, verifiesOnly }: SealedHeader,
): RingKey {
  const own = { ...factsOf(record), ...(verifiesOnly && { verifiesOnly: true as const }) }
  const base = { ...own, protectedBy, knows, isOpen: true }
  const { kid, algorithm } = base
  try {
    if (jwk.kty === 'oct') {
      const secret = createSecretKey(jwk.k ?? '', 'base64url')
      const keys = { publicJwk: undefined, publicKey: undefined, signer: undefined, secret }
      return { ...base, ...keys, hasPrivateHalf: true }
    }
    // Node's type of a JWK only lacks what jose's has.
    const input = { key: jwk, format: 'jwk' } as JsonWebKeyInput
    const hasPrivateHalf = 'd' in jwk || 'priv' in jwk
    const privateKey = hasPrivateHalf ? createPrivateKey(input) : undefined
    const publicKey = createPublicKey(privateKey ?? input)
    const members = publicKey.export({ format: 'jwk' }) as JWK
    const publicJwk = { ...members, kid, alg: algorithm, use: 'sig', ...certificatesOf(jwk) }
    // A newer version may know more algorithms: their keys are published and do not sign here.
    const signer =
      privateKey && isSignatureAlgorithm(algorithm)
        ? localSigner(privateKey, { publicJwk, algorithm })
        : undefined
    return { ...base, hasPrivateHalf, publicJwk, publicKey, signer, secret: undefined }
  } catch (cause) {
    throw new SealBroken(kid, `what it holds is no ${algorithm} key with that kid`, cause)
  }
}

/** What the JWKS shows of certificates (RFC 7517, sections 4.7 to 4.9), where the key moved in with some. */
function certificatesOf(jwk: JWK): Pick<JWK, 'x5c' | 'x5t' | 'x5t#S256'> {
  const { x5c, x5t, 'x5t#S256': sha256 } = jwk
  return { ...(x5c && { x5c }), ...(x5t && { x5t }), ...(sha256 && { 'x5t#S256': sha256 }) }
}

function changedFields(fields: object, sealed: Record<string, unknown>): readonly string[] {
  const record: Record<string, unknown> = { ...fields }
  const names = new Set([...Object.keys(record), ...Object.keys(sealed)])
  return [...names].filter((name) => !isDeepStrictEqual(record[name], sealed[name]))
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((text) => typeof text === 'string')
}

function isBoundNames(value: unknown): value is BoundNames | undefined {
  return value === undefined || (isRecord(value) && isTexts(Object.values(value)))
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
