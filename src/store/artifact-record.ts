import { hash, randomInt } from 'node:crypto'
import { type AdapterPayload, errors } from 'oidc-provider'

/** What oidc-provider saves, as a database keeps it; the stores differ only in how they do. */

/** One saved thing. Instants are seconds since the epoch; `consumedAt` is a `Use`. */
export interface ArtifactRecord {
  readonly model: string
  /** `digest` of its id. */
  readonly id: string
  /** JSON text. */
  readonly payload: string
  readonly grantId: string | null
  readonly uid: string | null
  readonly userCode: string | null
  readonly consumedAt: Use | null
  readonly expiresAt: number | null
}

/**
 * Ids are bearer credentials - a token is its id - so they are stored as hashes: who can read the
 * database cannot use what is in it. These two models are also found by another field and saved
 * again, for which their id must be known; alone it is worth nothing, as a session needs its
 * signed cookie and a device code its client.
 */
const KEEPS_ID: readonly string[] = ['Session', 'DeviceCode']

/** The model that remembers proofs and assertions which may be used once (DPoP, private_key_jwt). */
export const REPLAY = 'ReplayDetection'

/**
 * The model whose record a grant is. oidc-provider looks for it whenever a token or a code of the
 * grant is used (lib/shared/access_token.js, lib/actions/introspection.js, lib/helpers/grant_source.js):
 * where it is gone, what is saved for the grant a moment later is worth nothing.
 */
export const GRANT = 'Grant'

/** What `Undo` does, after "Cannot". */
export const GIVE_BACK = 'give back what a request used up'

/** Records stay this many seconds past their end, so that "expired" can be told from "unknown". */
export const GRACE = 60

/** When something was consumed, in seconds, times `USE`, and a random rest that tells one use from another. */
export type Use = number

const USE = 1_000_000

export function createUse(now: number): Use {
  return now * USE + randomInt(USE)
}

/** The id under which a record is stored. */
export function digest(id: string): string {
  return hash('sha256', id, 'base64url')
}

/**
 * @param expiresIn seconds, or nothing where it never expires
 * @param now instant
 */
export function toRecord(
  model: string,
  id: string,
  payload: AdapterPayload,
  { expiresIn, now }: { readonly expiresIn: number | undefined; readonly now: number },
): ArtifactRecord {
  const { grantId = null, uid = null, userCode = null, consumed } = payload
  return {
    model,
    id: digest(id),
    payload: JSON.stringify(KEEPS_ID.includes(model) ? payload : { ...payload, jti: undefined }),
    grantId,
    uid,
    userCode,
    consumedAt: typeof consumed === 'number' ? consumed * USE : null,
    expiresAt: expiresIn ? now + expiresIn : null,
  }
}

/** @param id the one it was found by, where it was found by its id */
export function toPayload(
  record: Pick<ArtifactRecord, 'payload' | 'consumedAt'> | undefined,
  id?: string,
): AdapterPayload | undefined {
  if (!record) return undefined
  const payload: AdapterPayload = JSON.parse(record.payload)
  if (id !== undefined) payload.jti = id
  if (record.consumedAt !== null) payload.consumed = Math.floor(record.consumedAt / USE)
  return payload
}

/**
 * Two requests used it at the same instant and this one lost. Where it was a code or a refresh
 * token, one of the two may be a thief's, so everything that came of the grant goes, and the grant
 * (RFC 9700, sections 2.1.1 and 4.14.2).
 */
export function usedMeanwhile(model: string): Error {
  const text = 'it was used by another request at the same time'
  return model === REPLAY ? new errors.InvalidRequest(text) : new errors.InvalidGrant(text)
}
