import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  hash,
  type KeyObject,
  randomUUID,
} from 'node:crypto'
import type { KoaContextWithOIDC } from 'oidc-provider'
import { REFRESH_ANSWER } from '../artifacts/artifact-record.ts'
import type { NewArtifact } from '../artifacts/artifact-store.ts'
import type { ArtifactAdapters } from './outage.ts'

/** The answer of the token endpoint (RFC 6749, section 5.1). */
export interface TokenResponse {
  readonly expires_in: number
  readonly refresh_token?: string
}

/** The answer that a refresh token got, kept for a repeated request. */
export interface RefreshAnswer {
  /** The refresh token that was answered. */
  readonly token: string
  /** The request and its proof (`askedBy`): the same request gets the same tokens again. */
  readonly asked: string
  /** Instant by the clock of the database, which all nodes share, with fraction. */
  readonly answeredAt: number
  readonly body: TokenResponse
}

/** Answers to refresh tokens, each of which is kept for a while. */
export interface RefreshAnswers {
  /** The record in which an answer is kept. */
  recordOf(answer: RefreshAnswer): NewArtifact
  /** @throws Outage */
  find(token: string): Promise<RefreshAnswer | undefined>
}

/**
 * Stores answers under the refresh token's hash, sealed with a key derived from the token. The
 * store does not have the token, so its readers cannot use the answers.
 * @param lifetime seconds
 */
export function createRefreshAnswers(adapters: ArtifactAdapters, lifetime: number): RefreshAnswers {
  const adapter = adapters(REFRESH_ANSWER)
  return {
    recordOf: ({ token, ...answer }) => ({
      model: REFRESH_ANSWER,
      id: token,
      payload: { sealed: seal(JSON.stringify(answer), token) },
      expiresIn: lifetime,
    }),
    find: async (token) => {
      const sealed = (await adapter.find(token))?.sealed
      if (typeof sealed !== 'string') return undefined
      return { token, ...JSON.parse(open(sealed, token)) }
    },
  }
}

const ALGORITHM = 'aes-256-gcm'
const TAG_BYTES = 16
/** The nonce may be constant because each key encrypts one answer only. */
const NONCE = Buffer.alloc(12)
/** Characters of a UUID. */
const SALT_LENGTH = 36

/**
 * @returns salt, ciphertext and tag. Racing nodes each seal an answer, with different keys because
 * of the salt.
 */
function seal(text: string, token: string): string {
  // `randomUUID` is the cheapest source of randomness, because Node draws many UUIDs at once.
  const salt = randomUUID()
  const cipher = createCipheriv(ALGORITHM, keyOf(token, salt), NONCE)
  const sealed = cipher.update(text, 'utf8')
  // GCM returns no further text here, but there is no tag before `final`.
  cipher.final()
  return salt + Buffer.concat([sealed, cipher.getAuthTag()]).toString('base64url')
}

/** @throws Error if the text was changed, which the MAC of its record (`text-mac.ts`) rules out */
function open(sealed: string, token: string): string {
  const bytes = Buffer.from(sealed.slice(SALT_LENGTH), 'base64url')
  const end = bytes.length - TAG_BYTES
  const key = keyOf(token, sealed.slice(0, SALT_LENGTH))
  const decipher = createDecipheriv(ALGORITHM, key, NONCE)
  decipher.setAuthTag(bytes.subarray(end))
  return decipher.update(bytes.subarray(0, end), undefined, 'utf8') + decipher.final('utf8')
}

/**
 * Derives the key with a plain hash, which is enough because refresh tokens have 256 random bits.
 * The prefix separates the key from the hash under which the answer is stored
 * (`artifact-record.ts`).
 */
function keyOf(token: string, salt: string): KeyObject {
  const key = hash('sha256', `key of ${REFRESH_ANSWER} ${salt} ${token}`, 'buffer')
  // A key object, because a cipher with a buffer as its key costs five times as much.
  return createSecretKey(key)
}

/**
 * Text of what a refresh asks for and of the key that proves it (RFC 9449, RFC 8705). Needs the
 * issued access token.
 */
export function askedBy({ oidc: { params, entities } }: KoaContextWithOIDC): string {
  const { scope, resource } = params ?? {}
  const { AccessToken: token } = entities
  return JSON.stringify([
    typeof scope === 'string' ? sorted(scope.split(' ')) : null,
    resource === undefined ? null : sorted([resource].flat()),
    token?.jkt ?? token?.['x5t#S256'] ?? null,
  ])
}

function sorted(values: readonly unknown[]): readonly string[] {
  return [...new Set(values.map(String))].sort()
}
