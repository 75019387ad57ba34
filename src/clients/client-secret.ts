import { hash, randomBytes } from 'node:crypto'
import type { PayloadCipher } from '../artifacts/payload-cipher.ts'
import { Refused } from '../errors.ts'
import { isSameText } from '../hmac.ts'

/**
 * How client secrets are stored. If the client sends its secret (client_secret_basic,
 * client_secret_post), a hash is stored, which survives the loss of every key. If the secret is
 * itself a key, for client_secret_jwt or for HMAC or AES in answers to the client, its text is
 * needed and stored encrypted.
 */

/** A secret in the table `client`, in the place of `client_secret`. */
export type StoredSecret =
  | { readonly hash: string }
  | { readonly sealed: string }
  /** The key that sealed the secret is lost. */
  | { readonly lost: true }

/**
 * Shortest secret, in characters, that is hashed. Shorter secrets are encrypted, because people
 * chose them and this fast hash would let them be guessed. Secrets made by Keyturn have 43.
 */
const HASHED_LENGTH = 32

/** Prefix of a hash in the place of a secret; no secret may begin with it. */
const HASH = 'hash-of-secret:sha256:'

const SALT_BYTES = 16

type Metadata = Readonly<Record<string, unknown>>

/**
 * The form in which a client's secret is stored.
 * @param metadata of the client (RFC 7591)
 * @throws Refused if the secret begins like a hash
 */
export function storeSecret(
  secret: string,
  metadata: Metadata,
  seal: (text: string) => string,
): StoredSecret {
  if (isHash(secret)) {
    const message = `A client secret must not begin with "${HASH}". Choose another secret.`
    throw new Refused('client_secret_like_hash', {}, message)
  }
  return storeAgain(secret, metadata, seal)
}

/**
 * Like `storeSecret`, for a secret that was stored before.
 * @param known result of `readSecret`; a hash stays unchanged
 */
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

/**
 * The `client_secret` for oidc-provider: the secret, or a hash that `compareSecret` understands.
 */
export function readSecret(
  stored: StoredSecret,
  open: (sealed: string) => string | undefined,
): string {
  if ('hash' in stored) return stored.hash
  const text = 'sealed' in stored ? open(stored.sealed) : undefined
  // A random secret refuses the client until an operator gives it a new one.
  return text ?? randomBytes(32).toString('base64url')
}

/**
 * Replaces `compareClientSecret` of oidc-provider's clients.
 * @param known result of `readSecret`
 */
export function compareSecret(known: string | undefined, given: string): boolean {
  if (known === undefined) return false
  if (!isHash(known)) return isSameText(known, given)
  const right = rightSecrets.get(known)
  if (right !== undefined && isSameText(right, given)) return true
  const end = known.indexOf(':', HASH.length)
  const salt = known.slice(HASH.length, end)
  if (!isSameText(known.slice(end + 1), digest(salt, given))) return false
  if (rightSecrets.size >= MOST_RIGHT) rightSecrets.clear()
  rightSecrets.set(known, given)
  return true
}

/**
 * Secrets that were right, by their hash, in memory only: clients send theirs with each request,
 * and a hash costs more than all else that is checked of it.
 */
const rightSecrets = new Map<string, string>()

/** Most secrets that are remembered. */
const MOST_RIGHT = 1000

/** True if a result of `readSecret` is a hash, so that the secret's text is unknown. */
export function isHash(known: string): boolean {
  return known.startsWith(HASH)
}

/** True if the secret is a key of HMAC or AES, or is not sent (OIDC Registration, section 2). */
export function needsText(metadata: Metadata): boolean {
  const method = metadata.token_endpoint_auth_method ?? 'client_secret_basic'
  if (method !== 'client_secret_basic' && method !== 'client_secret_post') return true
  return Object.entries(metadata).some(
    ([name, value]) => /_alg$/.test(name) && /^(HS|A|dir$|PBES2)/.test(String(value)),
  )
}

/** The salt has a fixed length, so that salt and secret cannot be divided in another way. */
function digest(salt: string, secret: string): string {
  return hash('sha256', `${salt}${secret}`, 'base64url')
}

/** Encryption and decryption of one client's secret. */
export function secretOf(cipher: PayloadCipher, clientId: string) {
  const name = `secret of client ${clientId}`
  return {
    seal: (text: string) => cipher.seal(text, name),
    open: (sealed: string) => cipher.open(sealed, name),
  }
}
