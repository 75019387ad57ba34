import { createSecretKey } from 'node:crypto'
import type { KoaContextWithOIDC } from 'oidc-provider'
import { REFRESH_ANSWER } from '../artifacts/artifact-record.ts'
import { createPayloadCipher, type PayloadCipher } from '../artifacts/payload-cipher.ts'
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
 * Answers are stored under the refresh token's hash and sealed under a key derived from the token itself
 * (`payload-cipher.ts`), which the store does not have: it holds nothing that its reader could use.
 * @param lifetime seconds
 */
export function createRefreshAnswers(adapters: ArtifactAdapters, lifetime: number): RefreshAnswers {
  const adapter = adapters(REFRESH_ANSWER)
  return {
    keep: (token, answer) => {
      const sealed = cipherOf(token).seal(JSON.stringify(answer), REFRESH_ANSWER)
      return adapter.saveOnce(token, { sealed }, lifetime)
    },
    find: async (token) => {
      const sealed = (await adapter.find(token))?.sealed
      if (typeof sealed !== 'string') return undefined
      const text = cipherOf(token).open(sealed, REFRESH_ANSWER)
      return text === undefined ? undefined : JSON.parse(text)
    },
  }
}

/** Refresh tokens are random, with 256 bits: enough for a key to be derived from them. */
function cipherOf(token: string): PayloadCipher {
  return createPayloadCipher(createSecretKey(Buffer.from(token)))
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
