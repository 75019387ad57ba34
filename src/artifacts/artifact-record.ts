import { hash, randomInt } from 'node:crypto'
import type { AdapterPayload } from 'oidc-provider'
import { createHmacSha256 } from '../hmac.ts'
import type { IssuerSecret } from '../ring/deployment.ts'
import type { Owner } from './artifact-store.ts'
import type { OnForgery } from './forgeries.ts'
import { createOwnerNames } from './owner-names.ts'
import { createPayloadCipher } from './payload-cipher.ts'
import { createTextMac } from './text-mac.ts'

/** Records in which a store keeps what oidc-provider saves, the same for all stores. */

/** A saved artifact. Instants are seconds since the epoch; `consumedAt` is a `ConsumptionMark`. */
export interface ArtifactRecord {
  readonly model: string
  /** Hash of the artifact's id (`ArtifactRecords.nameOf`). */
  readonly id: string
  /** JSON with the expiry, sealed or with a MAC. */
  readonly payload: string
  /** Stored id of the artifact's grant. */
  readonly grantId: string | null
  /** Hashes by which the record is found too. */
  readonly uid: string | null
  readonly userCode: string | null
  /** Owners (`ArtifactRecords.ownerName`), used by `ArtifactStore.forget` alone. */
  readonly accountId: string | null
  readonly clientId: string | null
  readonly consumedAt: ConsumptionMark | null
  readonly expiresAt: number | null
}

/** The fields of a record that a look-up returns. */
export type FoundRecord = Pick<ArtifactRecord, 'model' | 'id' | 'payload' | 'consumedAt'>

/**
 * Records of one issuer. Access to the store alone is not enough to use, make, change or move them:
 * ids are hashed because they are bearer credentials, and payloads are authenticated, and encrypted
 * unless they are of no use to a reader. Records of another issuer or deployment are not found.
 */
export interface ArtifactRecords {
  /** The id under which a model's record is stored. */
  nameOf(model: string, id: string): string
  /** The hash under which a session is found by its uid. */
  uidOf(uid: string): string
  /**
   * The keyed hash under which a device code is found by its user code. A plain hash could be
   * reversed, because there are few possible codes.
   */
  userCodeOf(userCode: string): string
  /** How a record says whose it is: several issuers may have clients and people of the same id. */
  ownerName(owner: Owner, id: string): string
  /**
   * @param expiresIn seconds, rounded up and at most 100 years, because a client may choose the
   * expiry of its assertions; undefined if the artifact never expires
   * @param now instant
   */
  toRecord(
    model: string,
    id: string,
    payload: AdapterPayload,
    times: { readonly expiresIn: number | undefined; readonly now: number },
  ): ArtifactRecord
  /**
   * @param asked the id or field by which the record was found; a record with another value was
   * moved
   * @returns undefined if there is no record, it has expired, or it fails its check
   */
  toPayload(
    record: FoundRecord | undefined,
    now: number,
    asked?: { readonly id?: string; readonly uid?: string; readonly userCode?: string },
  ): AdapterPayload | undefined
}

/**
 * Models that are also found by another field and then saved again, which needs their id; so the
 * sealed payload contains it. The id of other models is known from the request.
 */
const KEEPS_ID: readonly string[] = ['Session', 'DeviceCode']

/** The model of answers to refresh tokens, sealed under the token (`refresh-answers.ts`). */
export const REFRESH_ANSWER = 'RefreshAnswer'

/**
 * Models whose payload without the id is of no use to a reader: it has only owner, client and
 * expiry, or is sealed already. The payload carries a MAC and is not encrypted, because that costs
 * each request with a token much less. All other models are encrypted, also ones that a later
 * version of oidc-provider may add.
 */
const UNENCRYPTED: ReadonlySet<string> = new Set([
  'AccessToken',
  'ClientCredentials',
  'Grant',
  'RefreshToken',
  REFRESH_ANSWER,
])

function isUnencrypted(model: string): boolean {
  return UNENCRYPTED.has(model)
}

/** The model of proofs and assertions that may be used once (DPoP, private_key_jwt). */
export const REPLAY = 'ReplayDetection'

/**
 * The model of grants. oidc-provider looks for the grant whenever one of its tokens or codes is
 * used (lib/shared/access_token.js, lib/actions/introspection.js, lib/helpers/grant_source.js), so
 * anything saved for a grant after its deletion is invalid.
 */
export const GRANT = 'Grant'

/** Words for an `Undo` that follow "Cannot". */
export const UNDO_WORDS = 'restore a code or token that a failed request consumed'

/**
 * Seconds for which records are kept after their expiry, so that "expired" can be told from
 * "unknown".
 */
export const GRACE = 60

/**
 * The model of sessions. A session that ends is consumed and not deleted, because a request that
 * found it before may still save it: a consumed record stays consumed, and a deleted one would be
 * there again.
 */
export const SESSION = 'Session'

/** Most seconds for which a record is kept, so that every store can count them. */
export const LIFETIME_MAX = 100 * 365 * 86_400

/**
 * Consumption mark: seconds × MARKS_PER_SECOND + random, so that two uses within one second differ.
 */
export type ConsumptionMark = number

/** Range of the random part of a `ConsumptionMark`. */
export const MARKS_PER_SECOND = 1_000_000

export function createConsumptionMark(now: number): ConsumptionMark {
  return now * MARKS_PER_SECOND + randomInt(MARKS_PER_SECOND)
}

export interface RecordsOptions {
  readonly issuer: string
  readonly secret: Pick<IssuerSecret, 'key' | 'boundTo'>
  readonly onForgery: OnForgery
}

/**
 * Seals a payload together with its expiry for one model and one id, under keys of the issuer
 * alone. Fields that a store must change or compare itself are outside: the expiry by which it
 * sweeps, the look-up fields, which are compared with the payload when a record is found, and
 * whether a record was consumed.
 */
export function createArtifactRecords({
  issuer,
  secret,
  onForgery,
}: RecordsOptions): ArtifactRecords {
  const cipher = createPayloadCipher(secret.key(`artifacts of ${issuer}`))
  const mac = createTextMac(secret.key(`legible artifacts of ${issuer}`))
  // A hash has a fixed length, so that the text after it cannot be taken for a part of the issuer.
  const scope = hash('sha256', issuer, 'base64url')
  const nameOf = (model: string, id: string) =>
    hash('sha256', `${scope} ${model.length} ${model} ${id}`, 'base64url')
  const uidOf = (uid: string) => nameOf('uid', uid)
  const userCodeOf = createHmacSha256(secret.key(`user codes of ${issuer}`))
  const named = (model: string, id: string) => `${model} ${id}`
  // Records of a deployment that knew of one issuer only have their owners' ids.
  const hasPlainOwners = secret.boundTo === ''
  const ownerName = hasPlainOwners ? (_owner: Owner, id: string) => id : createOwnerNames(nameOf)
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
      const expiresAt = expiresIn ? now + Math.ceil(Math.min(expiresIn, LIFETIME_MAX)) : null
      const kept = KEEPS_ID.includes(model) ? payload : { ...payload, jti: undefined }
      const text = `${expiresAt ?? ''} ${JSON.stringify(kept)}`
      return {
        model,
        id: name,
        payload: isUnencrypted(model)
          ? mac.sign(text, named(model, name))
          : cipher.seal(text, named(model, name)),
        grantId: grantId === undefined ? null : nameOf(GRANT, grantId),
        uid: uid === undefined ? null : uidOf(uid),
        userCode: userCode === undefined ? null : userCodeOf(userCode),
        accountId: nameOwner(payload, 'accountId'),
        clientId: nameOwner(payload, 'clientId'),
        consumedAt: typeof consumed === 'number' ? consumed * MARKS_PER_SECOND : null,
        expiresAt,
      }
    },
    toPayload: (record, now, { id, uid, userCode } = {}) => {
      if (!record) return undefined
      const place = named(record.model, record.id)
      const text = isUnencrypted(record.model)
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
      if (record.consumedAt !== null)
        payload.consumed = Math.floor(record.consumedAt / MARKS_PER_SECOND)
      return payload
    },
  }
}

/**
 * The owner of a payload. An interaction belongs to the person who has just signed in, or else to
 * the session that it began with.
 */
export function ownerOf(payload: AdapterPayload, owner: Owner): string | undefined {
  const { [owner]: own, session, result } = payload
  if (typeof own === 'string') return own
  // Tokens have neither field.
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
 * Another request used or removed a record at the same instant. `oidc/outage.ts` turns this error
 * into the provider's error of that name (RFC 6749, section 5.2), so that stores need not load the
 * provider.
 */
export class LostRace extends Error {
  readonly error: 'invalid_grant' | 'invalid_request'

  constructor(error: LostRace['error'], message: string) {
    super(message)
    this.error = error
  }
}

/**
 * Two requests used the same code, token or proof at the same instant and this one lost. Of two
 * uses of a code or a refresh token one may be a thief's, so the grant and everything issued under
 * it are revoked (RFC 9700, sections 2.1.1 and 4.14.2).
 */
export class UsedMeanwhile extends LostRace {
  constructor() {
    super('invalid_grant', USED_MEANWHILE)
  }
}

/** The error if a record was deleted, usually revoked, between its look-up and its consumption. */
export function goneMeanwhile(): LostRace {
  return new LostRace('invalid_grant', 'it was revoked or deleted at the same time')
}

/** The error if a proof was used twice; unlike `UsedMeanwhile` it revokes no grant. */
export function seenMeanwhile(): LostRace {
  return new LostRace('invalid_request', USED_MEANWHILE)
}
