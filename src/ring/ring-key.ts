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

/** Facts that are sealed with a key; the others follow from its JWK. */
export type SealedFacts = Omit<KeyFacts, 'hasPrivateHalf' | 'isUnplaced'>

/**
 * A key that was opened, made of the JWK that was sealed.
 * @throws SealBroken if the JWK is no key of that algorithm
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
    throw new SealBroken(kid, `what it holds is no ${algorithm} key with that kid`, cause)
  }
}

/** What the JWKS shows of certificates (RFC 7517, sections 4.7 to 4.9), where the key moved in with some. */
function certificatesOf(jwk: JWK): Pick<JWK, 'x5c' | 'x5t' | 'x5t#S256'> {
  const { x5c, x5t, 'x5t#S256': sha256 } = jwk
  return { ...(x5c && { x5c }), ...(x5t && { x5t }), ...(sha256 && { 'x5t#S256': sha256 }) }
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
