import { isDeepStrictEqual } from 'node:util'
import { Refused } from '../errors.ts'
import { nearestPath } from '../schema/tree.ts'
import type { ClientMetadata } from './client.ts'
import { isHash, needsText } from './client-secret.ts'
import { hasSecret, withoutEmpty, withResponseTypes } from './complete.ts'
import { previousSecrets, withoutEnded, withPrevious } from './previous-secrets.ts'
import { asWritten, OFFERED_PROPERTIES } from './properties.ts'

/** Changes of a client's metadata by an operator. Pure. */

type Metadata = Readonly<Record<string, unknown>>

export interface ClientChange {
  /** New values; an empty value removes the property. */
  readonly set: Metadata
  /** Names of properties to remove. */
  readonly remove: readonly string[]
}

export interface ChangedClient {
  /** Metadata as people write it (`asWritten`), not validated. */
  readonly metadata: Metadata
  /** Names of properties that differ from before, without `client_secret`. */
  readonly changed: readonly string[]
  readonly secret: 'kept' | 'none' | 'dropped' | 'new because needed' | 'new because hashed'
}

/** Stands for a secret in shown metadata, so that the metadata can be edited and given back. */
export const SHOWN_SECRET = '***'

/**
 * The change without `client_id` and the masked secret, which only repeat what the client has.
 * @throws Refused if the change touches client_id or secret, or removes an unknown property
 */
export function readChange(
  id: string,
  { set, remove }: ClientChange,
  known: Metadata,
): ClientChange {
  const { client_id: named = id, client_secret: secret = SHOWN_SECRET, ...rest } = set
  if (named !== id) {
    throw new Refused(
      'client_id_fixed',
      { id },
      "A client_id cannot be changed, because tokens and people's consents name it. Add another client instead.",
    )
  }
  if (secret !== SHOWN_SECRET || remove.includes('client_secret')) {
    throw new Refused(
      'client_secret_kept',
      { id },
      'An update cannot change or remove client_secret. Renew the secret instead, or set ' +
        'token_endpoint_auth_method to none, which removes it.',
    )
  }
  if (remove.includes('client_id')) {
    throw new Refused(
      'client_id_needed',
      { id },
      'client_id cannot be removed, because every client needs one.',
    )
  }
  for (const name of remove) {
    if (OFFERED_PROPERTIES.includes(name) || Object.hasOwn(known, name)) continue
    const [nearest] = nearestPath(
      [name],
      OFFERED_PROPERTIES.map((each) => [each]),
    )
    throw new Refused(
      'property_unknown',
      { id, name, nearest: nearest ?? null },
      `Clients have no property ${name}; the nearest name is ${nearest}.`,
    )
  }
  const both = remove.find((name) => Object.hasOwn(rest, name))
  if (both !== undefined) {
    const message = `${both} is both set and removed. Leave out one of the two.`
    throw new Refused('property_set_and_removed', { name: both }, message)
  }
  return { set: rest, remove }
}

/**
 * Applies a change to a client's metadata.
 * @param known stored metadata
 * @param change result of `readChange`
 * @param freshSecret secret to use if the client needs a new one
 */
export function changedClient(
  known: ClientMetadata,
  { set, remove }: ClientChange,
  freshSecret: string,
): ChangedClient {
  const before = asWritten(withPrevious(known, []))
  const kept = Object.entries(before).filter(([name]) => !remove.includes(name))
  const next = withGrants(withoutEmpty({ ...Object.fromEntries(kept), ...set }), { set, remove })
  const { metadata, secret } = withSecretFor(next, known, freshSecret)
  const changed = differingNames(before, metadata).filter((name) => name !== 'client_secret')
  return { metadata, changed, secret }
}

/**
 * Names of the properties in which two states of a client differ, for its records.
 * @param before stored metadata; undefined for a new client
 */
export function changedNames(
  before: ClientMetadata | undefined,
  after: ClientMetadata,
): readonly string[] {
  const known = before ? withPrevious(before, []) : {}
  const names = differingNames(known, withPrevious(after, []))
  return names.filter((name) => name !== 'client_id')
}

function differingNames(before: Metadata, after: Metadata): readonly string[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])]
  return names.filter((name) => !isDeepStrictEqual(before[name], after[name]))
}

/** A change of `grant_types` without `response_types` also changes the response types. */
function withGrants(metadata: Metadata, { set, remove }: ClientChange): Metadata {
  const isChanged = 'grant_types' in set || remove.includes('grant_types')
  if (!isChanged || 'response_types' in set) return metadata
  const { response_types: _, ...rest } = metadata
  return withResponseTypes(rest)
}

/** Keeps the secret, unless the new authentication method needs none or another one. */
function withSecretFor(
  metadata: Metadata,
  known: ClientMetadata,
  fresh: string,
): Pick<ChangedClient, 'metadata' | 'secret'> {
  const { client_secret: secret } = known
  if (!hasSecret(metadata)) {
    const { client_secret: _, ...rest } = metadata
    if (secret === undefined) return { metadata: rest, secret: 'none' }
    const { client_secret_expires_at: __, ...bare } = rest
    return { metadata: bare, secret: 'dropped' }
  }
  if (typeof secret !== 'string') {
    return { metadata: { ...metadata, client_secret: fresh }, secret: 'new because needed' }
  }
  // A hash does not yield the text that client_secret_jwt needs as a key.
  const isOfUse = (each: string) => !(isHash(each) && needsText(metadata))
  if (!isOfUse(secret)) {
    return { metadata: { ...metadata, client_secret: fresh }, secret: 'new because hashed' }
  }
  return { metadata, secret: 'kept' }
}

/** The previous secrets that still work with the changed metadata. */
export function previousOf(known: ClientMetadata, { metadata, secret }: ChangedClient) {
  if (secret !== 'kept') return []
  return previousSecrets(known).filter((each) => !(isHash(each.secret) && needsText(metadata)))
}

export interface NewSecret {
  readonly secret: string
  /** Seconds for which the present secret still works; 0 ends it and all previous ones. */
  readonly overlap: number
  readonly now: number
}

/** Most previous secrets, because each costs a hash for every wrong secret that is sent. */
const PREVIOUS_SECRETS_MAX = 4

/**
 * Replaces the secret.
 * @throws Refused if too many previous secrets would work
 */
export function withNewSecret(known: ClientMetadata, { secret, overlap, now }: NewSecret) {
  const { client_secret: before, client_secret_expires_at: end, ...rest } = withoutEnded(known, now)
  const changed = { ...rest, client_secret: secret }
  if (overlap === 0 || typeof before !== 'string') return withPrevious(changed, [])
  const last = typeof end === 'number' && end > 0 ? end : Number.POSITIVE_INFINITY
  const previous = [
    ...previousSecrets(rest),
    { secret: before, until: Math.min(now + overlap, last) },
  ].filter(({ until }) => until > now)
  if (previous.length <= PREVIOUS_SECRETS_MAX) return withPrevious(changed, previous)
  throw new Refused(
    'client_secrets_too_many',
    { id: known.client_id, most: PREVIOUS_SECRETS_MAX },
    `Client ${known.client_id} already has ${PREVIOUS_SECRETS_MAX} previous secrets that still work, the ` +
      'most that are allowed. End them first, or use an overlap of 0 s, which ends them.',
  )
}
