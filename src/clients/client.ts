import type { PreviousSecret } from './previous-secrets.ts'

/** OAuth client metadata (RFC 7591, section 2). */
export type ClientMetadata = Readonly<Record<string, unknown>> & {
  readonly client_id: string
  /** Which others wrote, and which work beside `client_secret` for a while. */
  readonly previous_client_secrets?: readonly PreviousSecret[]
}

/** What a client gets for its ID tokens unless it says otherwise (OIDC Registration, section 2). */
export const DEFAULT_ID_TOKEN_ALGORITHM = 'RS256'

export interface Client {
  readonly id: string
  /** With a secret, or its hash, as oidc-provider takes it (`client-secret.ts`). Never to be shown. */
  readonly metadata: ClientMetadata
  /** Written by the configuration file or by an operator. */
  readonly source: 'config' | 'operator'
  readonly updatedAt: number
}
