/**
 * Secrets of a client that were replaced, and work until the client has the new one everywhere: a
 * property of its metadata that nobody writes.
 */

export const PREVIOUS_SECRETS = 'previous_client_secrets'

export interface PreviousSecret {
  /** Or its hash (`clients/client-secret.ts`). */
  readonly secret: string
  /** Instant from which it is not taken any more. */
  readonly until: number
}

/** @param metadata of a client, as it is stored or as oidc-provider has it */
export function previousSecrets(metadata: object): readonly PreviousSecret[] {
  const { [PREVIOUS_SECRETS]: previous } = metadata as { [PREVIOUS_SECRETS]?: PreviousSecret[] }
  return previous ?? []
}

/** Metadata without the secrets that do not work any more; the same where none has ended. */
export function withoutEnded<T extends object>(metadata: T, now: number): T {
  // Every request asks, and almost no client has any.
  if (!(PREVIOUS_SECRETS in metadata)) return metadata
  const all = previousSecrets(metadata)
  const left = all.filter(({ until }) => until > now)
  return left.length === all.length ? metadata : withPrevious(metadata, left)
}

/** Metadata with these in the place of those that it has. */
export function withPrevious<T extends object>(
  metadata: T,
  previous: readonly PreviousSecret[],
): T {
  const { [PREVIOUS_SECRETS]: _, ...rest } = metadata as T & { [PREVIOUS_SECRETS]?: unknown }
  // One property more or less, which the types of metadata leave open.
  return (previous.length === 0 ? rest : { ...rest, [PREVIOUS_SECRETS]: previous }) as T
}
