/**
 * Replaced secrets of a client, which still work until the new secret is in use everywhere. They
 * are kept in a property of the metadata that operators cannot write.
 */

export const PREVIOUS_SECRETS = 'previous_client_secrets'

export interface PreviousSecret {
  /** The secret or its hash (`client-secret.ts`). */
  readonly secret: string
  /** Instant from which the secret is refused. */
  readonly until: number
}

/**
 * The previous secrets in metadata of a client, as stored or as oidc-provider has them; ended ones
 * included.
 */
export function previousSecrets(metadata: object): readonly PreviousSecret[] {
  const { [PREVIOUS_SECRETS]: previous } = metadata as { [PREVIOUS_SECRETS]?: PreviousSecret[] }
  return previous ?? []
}

/** The metadata without ended secrets; the same object if none has ended. */
export function withoutEnded<T extends object>(metadata: T, now: number): T {
  // A short cut, because every request calls this and few clients have previous secrets.
  if (!(PREVIOUS_SECRETS in metadata)) return metadata
  const all = previousSecrets(metadata)
  const left = all.filter(({ until }) => until > now)
  return left.length === all.length ? metadata : withPrevious(metadata, left)
}

/** The metadata with other previous secrets. */
export function withPrevious<T extends object>(
  metadata: T,
  previous: readonly PreviousSecret[],
): T {
  const { [PREVIOUS_SECRETS]: _, ...rest } = metadata as T & { [PREVIOUS_SECRETS]?: unknown }
  // The cast is right, because types of metadata leave this property open.
  return (previous.length === 0 ? rest : { ...rest, [PREVIOUS_SECRETS]: previous }) as T
}
