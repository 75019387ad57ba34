import { isDeepStrictEqual } from 'node:util'
import { Refused } from '../errors.ts'
import { nearestPath } from '../schema/tree.ts'
import type { ClientMetadata } from './client.ts'
import { isHash, needsText } from './client-secret.ts'
import { hasSecret, withoutEmpty, withResponseTypes } from './complete.ts'
import { previousSecrets, withoutEnded, withPrevious } from './previous-secrets.ts'
import { asWritten, OFFERED_PROPERTIES } from './properties.ts'

/** What becomes of a client's metadata when an operator changes it. Pure. */

type Metadata = Readonly<Record<string, unknown>>

export interface ClientChange {
  /** New values; one that is empty removes the property. */
  readonly set: Metadata
  /** Names of properties that the client is to have no more. */
  readonly remove: readonly string[]
}

export interface ChangedClient {
  /** As it is written, not validated. */
  readonly metadata: Metadata
  /** Names of properties that differ from before, the secret apart. */
  readonly changed: readonly string[]
  readonly secret: 'kept' | 'none' | 'dropped' | 'new because needed' | 'new because hashed'
}

/** A secret that is shown is shown as this, so that metadata can be shown, edited and given back. */
export const SHOWN_SECRET = '***'

/**
 * A change as it is meant: what names the client itself is no change of it.
 * @throws Refused where it would change what only other commands change, or removes what is unknown
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
      "A client_id cannot be changed, because tokens and people's consents name it. Add another client.",
    )
  }
  if (secret !== SHOWN_SECRET || remove.includes('client_secret')) {
    throw new Refused(
      'client_secret_kept',
      { id },
      'An update keeps the secret. Another one is given apart from it; a client whose ' +
        'token_endpoint_auth_method is none has none.',
    )
  }
  if (remove.includes('client_id')) {
    throw new Refused('client_id_needed', { id }, 'A client cannot do without a client_id.')
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
      `No property of a client is named ${name}; the nearest is ${nearest}.`,
    )
  }
  const both = remove.find((name) => Object.hasOwn(rest, name))
  if (both !== undefined) {
    const message = `${both} is both set and removed.`
    throw new Refused('property_set_and_removed', { name: both }, message)
  }
  return { set: rest, remove }
}

/**
 * @param known as it is stored
 * @param change of `readChange`
 * @param freshSecret to be used where the client needs another one
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
  const names = [...new Set([...Object.keys(before), ...Object.keys(metadata)])]
  const changed = names.filter(
    (name) => name !== 'client_secret' && !isDeepStrictEqual(before[name], metadata[name]),
  )
  return { metadata, changed, secret }
}

/** Response types follow from grant types, so whoever changes these need not name those. */
function withGrants(metadata: Metadata, { set, remove }: ClientChange): Metadata {
  const isChanged = 'grant_types' in set || remove.includes('grant_types')
  if (!isChanged || 'response_types' in set) return metadata
  const { response_types: _, ...rest } = metadata
  return withResponseTypes(rest)
}

/** The secret stays, unless the client proves itself in another way now. */
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
  // Of a hash nobody can make the key of an assertion.
  const isOfUse = (each: string) => !(isHash(each) && needsText(metadata))
  if (!isOfUse(secret)) {
    return { metadata: { ...metadata, client_secret: fresh }, secret: 'new because hashed' }
  }
  return { metadata, secret: 'kept' }
}

/** The secrets before that still are of use to a client with this metadata. */
export function previousOf(known: ClientMetadata, { metadata, secret }: ChangedClient) {
  if (secret !== 'kept') return []
  return previousSecrets(known).filter((each) => !(isHash(each.secret) && needsText(metadata)))
}

export interface NewSecret {
  readonly secret: string
  /** Seconds for which the one before works too; 0 ends all that there were. */
  readonly overlap: number
  readonly now: number
}

/** Secrets that may work beside the newest: each costs a hash where a secret is wrong. */
const PREVIOUS_SECRETS_MAX = 4

/** @throws Refused where too many would work at once */
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
    `Client ${known.client_id} has ${PREVIOUS_SECRETS_MAX} secrets already that work beside its newest. ` +
      'End them first, or with the change: an overlap of 0 s ends them.',
  )
}
