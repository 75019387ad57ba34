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
import type { ArtifactAdapters } from './outage.ts'

/** The answer of the token endpoint (RFC 6749, section 5.1). */
export interface TokenResponse {
  readonly expires_in: number
  readonly refresh_token?: string
}

/** What a refresh token was answered with. */
export interface RefreshAnswer {
  /** What was asked for and how it was proved (`askedBy`): who asks the same gets the same tokens. */
  readonly asked: string
  /** By the clock of the database, which all nodes share, with fraction. */
  readonly answeredAt: number
  readonly body: TokenResponse
}

/** The answer to each refresh token, for a while. Of several requests at once one decides what it is. */
export interface RefreshAnswers {
  /** @returns false where there is one already. @throws Outage */
  keep(token: string, answer: RefreshAnswer): Promise<boolean>
  /** @throws Outage */
  find(token: string): Promise<RefreshAnswer | undefined>
}

/**
 * Answers are stored under the refresh token's hash and sealed under a key derived from the token itself,
 * which the store does not have: it holds nothing that its reader could use.
 * @param lifetime seconds
 */
export function createRefreshAnswers(adapters: ArtifactAdapters, lifetime: number): RefreshAnswers {
  const adapter = adapters(REFRESH_ANSWER)
  return {
    keep: (token, answer) => {
      const sealed = seal(JSON.stringify(answer), token)
      return adapter.saveOnce(token, { sealed }, lifetime)
    },
    find: async (token) => {
      const sealed = (await adapter.find(token))?.sealed
      if (typeof sealed !== 'string') return undefined
      return JSON.parse(open(sealed, token))
    },
  }
}

const ALGORITHM = 'aes-256-gcm'
const TAG_BYTES = 16
/** One for all: no two answers have one key. */
const NONCE = Buffer.alloc(12)
/** Characters of a UUID. */
const SALT_LENGTH = 36

/** A salt, ciphertext and tag. Each node that races for an answer seals one, under a key of its own. */
function seal(text: string, token: string): string {
  // Of all that is random here it alone costs nothing to speak of: Node draws many at once.
  const salt = randomUUID()
  const cipher = createCipheriv(ALGORITHM, keyOf(token, salt), NONCE)
  const sealed = cipher.update(text, 'utf8')
  // It has given all already; without it there is no tag.
  cipher.final()
  return salt + Buffer.concat([sealed, cipher.getAuthTag()]).toString('base64url')
}

/** @throws Error where it was not sealed so, which the MAC of its record (`text-mac.ts`) rules out */
function open(sealed: string, token: string): string {
  const bytes = Buffer.from(sealed.slice(SALT_LENGTH), 'base64url')
  const end = bytes.length - TAG_BYTES
  const key = keyOf(token, sealed.slice(0, SALT_LENGTH))
  const decipher = createDecipheriv(ALGORITHM, key, NONCE)
  decipher.setAuthTag(bytes.subarray(end))
  return decipher.update(bytes.subarray(0, end), undefined, 'utf8') + decipher.final('utf8')
}

/**
 * Refresh tokens are random, with 256 bits, so that a hash is enough to make a key of one. Its name holds
 * it apart from the hash under which the answer is stored (`artifact-record.ts`).
 */
function keyOf(token: string, salt: string): KeyObject {
  const key = hash('sha256', `key of ${REFRESH_ANSWER} ${salt} ${token}`, 'buffer')
  // Ciphers take a buffer too, at five times the cost of all that they do with a key object.
  return createSecretKey(key)
}

/** What a refresh asks for, and the key by which it is proved (RFC 9449, RFC 8705), once it is answered. */
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
