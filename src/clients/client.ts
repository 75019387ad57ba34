import type { PreviousSecret } from './previous-secrets.ts'

/** OAuth client metadata (RFC 7591, section 2). */
export type ClientMetadata = Readonly<Record<string, unknown>> & {
  readonly client_id: string
  /** Replaced secrets that still work for a while; never written by operators. */
  readonly previous_client_secrets?: readonly PreviousSecret[]
}

/** Algorithm of ID tokens for clients that name none (OIDC Registration, section 2). */
export const DEFAULT_ID_TOKEN_ALGORITHM = 'RS256'

export interface Client {
  readonly id: string
  /** Metadata including the secret or its hash (`client-secret.ts`). Never to be shown. */
  readonly metadata: ClientMetadata
  /** Origin of the client: the configuration file or a command of an operator. */
  readonly source: 'config' | 'operator'
  readonly updatedAt: number
}
