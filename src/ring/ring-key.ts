import {
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  type JsonWebKeyInput,
  type KeyObject,
} from 'node:crypto'
import type { JWK } from 'jose'
import { SealBroken } from '../errors.ts'
import { isSignatureAlgorithm } from './algorithms.ts'
import type { KeyFacts, KeyPlace } from './key.ts'
import type { SerializedKey } from './key-store.ts'
import { headerOf, type SealedHeader } from './sealed-header.ts'
import { localSigner, type Signer } from './signer.ts'

/** A key with its halves, as far as they are at hand. */
export interface RingKey extends KeyFacts {
  /** The key in the JWKS (RFC 7517, section 4); undefined for a symmetric key. */
  readonly publicJwk: JWK | undefined
  /** Verifies signatures; undefined while closed, and for a symmetric key. */
  readonly publicKey: KeyObject | undefined
  /** Signs; undefined once the private half is erased, while closed, and for a symmetric key. */
  readonly signer: Signer | undefined
  /**
   * The secret of a symmetric key, such as a cookie key; undefined while closed, and for all other
   * keys.
   */
  readonly secret: KeyObject | undefined
  /** kid of the KEK that seals the key; null if its record does not say. */
  readonly protectedBy: string | null
  /** False for a key that does not open, of which only the record is known. */
  readonly isOpen: boolean
  /**
   * Ids of the newest events when the key was sealed. If one of them is missing, it was deleted.
   */
  readonly knows: readonly string[]
}

/** Facts that are sealed with a key; the other facts follow from its JWK. */
export type SealedFacts = Omit<KeyFacts, 'hasPrivateHalf' | 'isUnplaced'>

/**
 * Makes an open key from its decrypted JWK.
 * @throws SealBroken if the JWK is not a key of the record's algorithm
 */
export function openedKey(
  record: SerializedKey,
  jwk: JWK,
  { kid: protectedBy, knows, verifiesOnly, signsUntil }: SealedHeader,
): RingKey {
  const own = {
    ...factsOf(record),
    ...(verifiesOnly && { verifiesOnly: true as const }),
    ...(signsUntil !== undefined && { signsUntil }),
  }
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
    throw new SealBroken(kid, `its data is not an ${algorithm} key with that kid`, cause)
  }
}

/** Certificates for the JWKS (RFC 7517, sections 4.7 to 4.9), if the key moved in with some. */
export function certificatesOf(jwk: JWK): Pick<JWK, 'x5c' | 'x5t' | 'x5t#S256'> {
  const { x5c, x5t, 'x5t#S256': sha256 } = jwk
  return { ...(x5c && { x5c }), ...(x5t && { x5t }), ...(sha256 && { 'x5t#S256': sha256 }) }
}

/**
 * A key that does not open. It can neither sign nor verify; but if it was revoked, it holds the
 * place in its ring that the revocation names, because it may have been the active key. The values
 * of the record are not trusted, because anybody with write access to the store can write such a
 * record.
 */
export function closedKey(record: SerializedKey, place?: KeyPlace): RingKey {
  const closed = { ...unopened(record), retention: 0 }
  return place ? { ...closed, ...place } : { ...closed, isUnplaced: true }
}

/** A key as its unchecked record describes it, for people to look at. */
export function uncheckedKey(record: SerializedKey): RingKey {
  const verifiesOnly = headerOf(record)?.verifiesOnly === true
  return {
    ...unopened(record),
    hasPrivateHalf: !verifiesOnly,
    ...(verifiesOnly && { verifiesOnly }),
  }
}

/** The unchecked content of a record, without any half of the key. */
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
