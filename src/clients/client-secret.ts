import { hash, randomBytes } from 'node:crypto'
import type { PayloadCipher } from '../artifacts/payload-cipher.ts'
import { Refused } from '../errors.ts'
import { isSameText } from '../hmac.ts'

/**
 * How client secrets are kept. Where a client sends its secret (client_secret_basic, client_secret_post)
 * a hash is enough, and outlives the loss of every key. A secret that is itself a key - for
 * client_secret_jwt, or HMAC and AES in what a client receives - is needed as it is, and is encrypted.
 */

/** In the table `client`, in the place of `client_secret`. */
export type StoredSecret =
  | { readonly hash: string }
  | { readonly sealed: string }
  /** It was sealed under a key that is lost. */
  | { readonly lost: true }

/**
 * Shortest secret, in characters, that is hashed. Shorter ones were thought up by people and could be
 * found by trying, as this hash is fast: they are encrypted. Those that Keyturn makes have 43.
 */
const HASHED_LENGTH = 32

/** Begins a hash where oidc-provider has a secret; no secret may begin so. */
const HASH = 'hash-of-secret:sha256:'

const SALT_BYTES = 16

type Metadata = Readonly<Record<string, unknown>>

/**
 * @param metadata of the client that has the secret (RFC 7591)
 * @throws Refused for a secret that looks like a hash
 */
export function storeSecret(
  secret: string,
  metadata: Metadata,
  seal: (text: string) => string,
): StoredSecret {
  if (isHash(secret)) {
    const message = `A client secret must not begin with "${HASH}".`
    throw new Refused('client_secret_like_hash', {}, message)
  }
  return storeAgain(secret, metadata, seal)
}

/** @param known what `readSecret` gave: a hash stays what it is */
export function storeAgain(
  known: string,
  metadata: Metadata,
  seal: (text: string) => string,
): StoredSecret {
  if (isHash(known)) return { hash: known }
  if (known.length < HASHED_LENGTH || needsText(metadata)) return { sealed: seal(known) }
  const salt = randomBytes(SALT_BYTES).toString('base64url')
  return { hash: `${HASH}${salt}:${digest(salt, known)}` }
}

/** What oidc-provider gets for `client_secret`: the secret, or a hash that `compareSecret` understands. */
export function readSecret(
  stored: StoredSecret,
  open: (sealed: string) => string | undefined,
): string {
  if ('hash' in stored) return stored.hash
  const text = 'sealed' in stored ? open(stored.sealed) : undefined
  // Nobody knows it, so the client is refused until it gets another one.
  return text ?? randomBytes(32).toString('base64url')
}

/**
 * The `compareClientSecret` of oidc-provider's clients.
 * @param known what `readSecret` gave
 */
export function compareSecret(known: string | undefined, given: string): boolean {
  if (known === undefined) return false
  if (!isHash(known)) return isSameText(known, given)
  const end = known.indexOf(':', HASH.length)
  const salt = known.slice(HASH.length, end)
  return isSameText(known.slice(end + 1), digest(salt, given))
}

/** Is it the hash of a secret whose text nobody has? @param known what `readSecret` gave */
export function isHash(known: string): boolean {
  return known.startsWith(HASH)
}

/** Also of use as a key of HMAC or AES, or no secret that is sent (OIDC Registration, section 2). */
export function needsText(metadata: Metadata): boolean {
  const method = metadata.token_endpoint_auth_method ?? 'client_secret_basic'
  if (method !== 'client_secret_basic' && method !== 'client_secret_post') return true
  return Object.entries(metadata).some(
    ([name, value]) => /_alg$/.test(name) && /^(HS|A|dir$|PBES2)/.test(String(value)),
  )
}

/** The salt has one length, so that it cannot be taken for a part of the secret. */
function digest(salt: string, secret: string): string {
  return hash('sha256', `${salt}${secret}`, 'base64url')
}

/** The two directions of a cipher for the secret of one client. */
export function secretOf(cipher: PayloadCipher, clientId: string) {
  const name = `secret of client ${clientId}`
  return {
    seal: (text: string) => cipher.seal(text, name),
    open: (sealed: string) => cipher.open(sealed, name),
  }
}
