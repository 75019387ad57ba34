import { decodeProtectedHeader } from 'jose'
import { SealBroken } from '../errors.ts'
import type { BoundNames } from './bound-names.ts'
import type { SerializedKey } from './key-store.ts'

/** The protected header of a sealed key (`seal.ts`), which names its deployment and issuer. */

/** Value of `typ`. */
export const SEALED_KEY = 'keyturn-key'

/** Facts of a key that its record does not contain. */
export interface SealedHeader {
  /** kid of the key-encryption key. */
  readonly kid: string
  readonly knows: readonly string[]
  readonly verifiesOnly: boolean
  readonly signsUntil: number | undefined
}

/** The unchecked header; undefined if the data has none. */
export function headerOf({ data }: SerializedKey) {
  try {
    return decodeProtectedHeader(data)
  } catch {
    return undefined
  }
}

/**
 * The header of a sealed key, authentic only once the key is decrypted.
 * @throws SealBroken if the record is not a sealed key
 */
export function readHeader(record: SerializedKey) {
  if (!record.dataProtected) {
    throw new SealBroken(record.id, 'it is not sealed (dataProtected is false)')
  }
  try {
    const header = decodeProtectedHeader(record.data)
    const { kid, key, deployment, issuer = '', issuers, knows = [] } = header
    const isKey = header.typ === SEALED_KEY && typeof kid === 'string' && isRecord(key)
    if (isKey && isTexts(knows) && typeof issuer === 'string' && isBoundNames(issuers)) {
      return {
        kid,
        key,
        knows,
        issuer,
        issuers,
        verifiesOnly: header.verifiesOnly === true,
        signsUntil: typeof header.signsUntil === 'number' ? header.signsUntil : undefined,
        deployment: typeof deployment === 'string' ? deployment : undefined,
      }
    }
  } catch (cause) {
    throw new SealBroken(record.id, 'its data is not a compact JWE', cause)
  }
  throw new SealBroken(record.id, 'its data is not a key that Keyturn sealed')
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
