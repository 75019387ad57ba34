import { hash, randomInt } from 'node:crypto'
import { type AdapterPayload, errors } from 'oidc-provider'
import { createHmacSha256 } from '../hmac.ts'
import type { IssuerSecret } from '../ring/deployment.ts'
import type { Owner } from './artifact-store.ts'
import type { OnForgery } from './forgeries.ts'
import { createPayloadCipher } from './payload-cipher.ts'
import { createTextMac } from './text-mac.ts'

/** What oidc-provider saves, as a database keeps it; the stores differ only in how they do. */

/** One saved thing. Instants are seconds since the epoch; `consumedAt` is a `Use`. */
export interface ArtifactRecord {
  readonly model: string
  /** Hash of its id (`ArtifactRecords.nameOf`). */
  readonly id: string
  /** JSON with its expiry, sealed or with a MAC. */
  readonly payload: string
  /** The id under which its grant is stored. */
  readonly grantId: string | null
  /** Hashes, by which it is found as well. */
  readonly uid: string | null
  readonly userCode: string | null
  /** Whose it is (`ArtifactRecords.ownerName`), for `ArtifactStore.forget` alone. */
  readonly accountId: string | null
  readonly clientId: string | null
  readonly consumedAt: Use | null
  readonly expiresAt: number | null
}

/** The part of a record that was found. */
export type FoundRecord = Pick<ArtifactRecord, 'model' | 'id' | 'payload' | 'consumedAt'>

/**
 * Records of one issuer, which nobody can use, make, change or move who has only the store: ids are
 * hashes, as they are bearer credentials, and payloads are authenticated, and encrypted unless they are
 * of no use. What is not of this issuer and deployment is not found.
 */
export interface ArtifactRecords {
  /** The id under which a model's record is stored. */
  nameOf(model: string, id: string): string
  /** The hash under which a session is found by its uid. */
  uidOf(uid: string): string
  /** The same for a user code: keyed, as so few are possible that a plain hash could be reversed. */
  userCodeOf(userCode: string): string
  /** How a record says whose it is: several issuers may have clients and people of the same id. */
  ownerName(owner: Owner, id: string): string
  /**
   * @param expiresIn seconds, or nothing where it never expires
   * @param now instant
   */
  toRecord(
    model: string,
    id: string,
    payload: AdapterPayload,
    times: { readonly expiresIn: number | undefined; readonly now: number },
  ): ArtifactRecord
  /**
   * @param asked the id it was found by, or the field: a record that does not have it was moved there
   * @returns undefined where there is none, it is over, or it fails its check
   */
  toPayload(
    record: FoundRecord | undefined,
    now: number,
    asked?: { readonly id?: string; readonly uid?: string; readonly userCode?: string },
  ): AdapterPayload | undefined
}

/**
 * Models that are also found by another field and saved again, for which their id must be known; it
 * stands in the sealed payload. That of the others is known from the request.
 */
const KEEPS_ID: readonly string[] = ['Session', 'DeviceCode']

/** The model that keeps what a refresh token was answered with, sealed under that token (`refresh-answers.ts`). */
export const REFRESH_ANSWER = 'RefreshAnswer'

/**
 * Models whose payload is of no use to who reads it, once the id is not in it: whose, for whom, until
 * when, or sealed already. It carries a MAC and is not encrypted, as that costs every request with a token much less. All
 * others are encrypted, also those that another version of oidc-provider may bring.
 */
const LEGIBLE: ReadonlySet<string> = new Set([
  'AccessToken',
  'ClientCredentials',
  'Grant',
  'RefreshToken',
  REFRESH_ANSWER,
])

function isLegible(model: string): boolean {
  return LEGIBLE.has(model)
}

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

/** Uses within one second that a `Use` tells apart. */
export const USE = 1_000_000

export function createUse(now: number): Use {
  return now * USE + randomInt(USE)
}

export interface RecordsOptions {
  readonly issuer: string
  readonly secret: Pick<IssuerSecret, 'key' | 'boundTo'>
  readonly onForgery: OnForgery
}

/**
 * A payload is sealed together with its expiry for one model and one id, under keys that are the
 * issuer's alone. What a store must be able to change or compare by itself is outside: the expiry by
 * which it sweeps, what it finds records by - compared with the payload when one is found - and
 * whether a record was consumed.
 */
export function createArtifactRecords({
  issuer,
  secret,
  onForgery,
}: RecordsOptions): ArtifactRecords {
  const cipher = createPayloadCipher(secret.key(`artifacts of ${issuer}`))
  const mac = createTextMac(secret.key(`legible artifacts of ${issuer}`))
  // Of one length, so that what follows it cannot be taken for a part of it.
  const scope = hash('sha256', issuer, 'base64url')
  const nameOf = (model: string, id: string) =>
    hash('sha256', `${scope} ${model.length} ${model} ${id}`, 'base64url')
  const uidOf = (uid: string) => nameOf('uid', uid)
  const userCodeOf = createHmacSha256(secret.key(`user codes of ${issuer}`))
  const named = (model: string, id: string) => `${model} ${id}`
  // Of a deployment that knew of one issuer only, whose records have their owners' ids.
  const hasPlainOwners = secret.boundTo === ''
  const ownerName = (owner: Owner, id: string) => (hasPlainOwners ? id : nameOf(owner, id))
  const nameOwner = (payload: AdapterPayload, owner: Owner) => {
    const id = ownerOf(payload, owner)
    return id === undefined ? null : ownerName(owner, id)
  }

  return {
    nameOf,
    uidOf,
    userCodeOf,
    ownerName,
    toRecord: (model, id, payload, { expiresIn, now }) => {
      const { grantId, uid, userCode, consumed } = payload
      const name = nameOf(model, id)
      const expiresAt = expiresIn ? now + expiresIn : null
      const kept = KEEPS_ID.includes(model) ? payload : { ...payload, jti: undefined }
      const text = `${expiresAt ?? ''} ${JSON.stringify(kept)}`
      return {
        model,
        id: name,
        payload: isLegible(model)
          ? mac.sign(text, named(model, name))
          : cipher.seal(text, named(model, name)),
        grantId: grantId === undefined ? null : nameOf(GRANT, grantId),
        uid: uid === undefined ? null : uidOf(uid),
        userCode: userCode === undefined ? null : userCodeOf(userCode),
        accountId: nameOwner(payload, 'accountId'),
        clientId: nameOwner(payload, 'clientId'),
        consumedAt: typeof consumed === 'number' ? consumed * USE : null,
        expiresAt,
      }
    },
    toPayload: (record, now, { id, uid, userCode } = {}) => {
      if (!record) return undefined
      const place = named(record.model, record.id)
      const text = isLegible(record.model)
        ? mac.check(record.payload, place)
        : cipher.open(record.payload, place)
      if (text === undefined) {
        onForgery('artifact', record.model)
        return undefined
      }
      const space = text.indexOf(' ')
      if (space > 0 && Number(text.slice(0, space)) + GRACE < now) return undefined
      const payload: AdapterPayload = JSON.parse(text.slice(space + 1))
      if (id !== undefined) payload.jti = id
      if (
        (uid ?? payload.uid) !== payload.uid ||
        (userCode ?? payload.userCode) !== payload.userCode
      ) {
        onForgery('artifact', record.model)
        return undefined
      }
      if (record.consumedAt !== null) payload.consumed = Math.floor(record.consumedAt / USE)
      return payload
    },
  }
}

/**
 * Whose a payload is. An interaction is that of the person who has just signed in, or else of the
 * session that it began with.
 */
export function ownerOf(payload: AdapterPayload, owner: Owner): string | undefined {
  const { [owner]: own, session, result } = payload
  if (typeof own === 'string') return own
  // Spares tokens, which have neither.
  if (!session && !result) return undefined
  const holders: readonly unknown[] = [...Object.values(result ?? {}), session]
  for (const holder of holders) {
    const id = (holder as Partial<Record<Owner, unknown>> | undefined)?.[owner]
    if (typeof id === 'string') return id
  }
  return undefined
}

const USED_MEANWHILE = 'it was used by another request at the same time'

/**
 * Two requests used it at the same instant and this one lost. Where it was a code or a refresh
 * token, one of the two may be a thief's, so everything that came of the grant goes, and the grant
 * (RFC 9700, sections 2.1.1 and 4.14.2).
 */
export class UsedMeanwhile extends errors.InvalidGrant {
  constructor() {
    super(USED_MEANWHILE)
  }
}

/** What a request found was deleted before it could consume it: revoked, as a rule. */
export function goneMeanwhile(): Error {
  return new errors.InvalidGrant('it was revoked or deleted at the same time')
}

/** `UsedMeanwhile` of a proof, which no grant depends on. */
export function seenMeanwhile(): Error {
  return new errors.InvalidRequest(USED_MEANWHILE)
}
