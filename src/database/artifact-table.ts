import type { ArtifactRecord, ConsumptionMark, FoundRecord } from '../artifacts/artifact-record.ts'
import type { Owner } from '../artifacts/artifact-store.ts'
import type { ClientRow } from './tables.ts'

/** The columns that name the owner of a record. */
export const OWNER_COLUMNS = {
  accountId: 'account_id',
  clientId: 'client_id',
} as const satisfies Record<Owner, string>

export type OwnerColumn = (typeof OWNER_COLUMNS)[Owner]

/**
 * Order by which the right one of several records with the same look-up column is found: unconsumed
 * before consumed, and then the one that expires last, so that an expired record hides no other.
 * Sorts by booleans, because nulls sort differently in each engine.
 */
export const BEST_MATCH_FIRST =
  'ORDER BY consumed_at IS NOT NULL, expires_at IS NOT NULL, expires_at DESC LIMIT 1'

/**
 * The best match of records that were read, because sorting a single row costs SQLite ten times as
 * much as finding it.
 */
export function bestMatch<Found extends Pick<ArtifactRecord, 'consumedAt' | 'expiresAt'>>(
  records: readonly Found[],
): Found | undefined {
  const [only, ...others] = records
  if (others.length === 0) return only
  const rank = ({ consumedAt }: Found) => Number(consumedAt !== null)
  const end = ({ expiresAt }: Found) => expiresAt ?? Infinity
  return records.toSorted((a, b) => rank(a) - rank(b) || end(b) - end(a))[0]
}

/** Owner of records: column, and the name in it. */
export interface OwnerOfRecords {
  readonly column: OwnerColumn
  readonly name: string
}

/** Names a record. */
export type ArtifactKey = Pick<ArtifactRecord, 'model' | 'id'>

/**
 * The table `artifact` of a server, as the statements of one engine: each method is one statement
 * where the engine allows it. They reject with errors of the driver.
 */
export interface ArtifactTable {
  /** Most records for the next statement, given the number of waiting ones. */
  readonly batch: (waiting: number) => number
  /** Finds the existing records, in any order. */
  find(keys: readonly ArtifactKey[]): Promise<readonly FoundRecord[]>
  /**
   * Finds a record by a look-up column. Several records can have the same user code one after the
   * other, and a session keeps its uid longer than its id.
   * @param hash of the uid or the user code
   * @returns the best match (`BEST_MATCH_FIRST`)
   */
  findBy(column: 'uid' | 'user_code', model: string, hash: string): Promise<FoundRecord | undefined>
  /** Inserts or replaces records; a consumed record stays consumed. No key occurs twice. */
  upsert(records: readonly ArtifactRecord[]): Promise<void>
  /**
   * Inserts a record, or replaces one that expired before `now`.
   * @returns false if another is there
   */
  insertOnce(record: ArtifactRecord, now: number): Promise<boolean>
  /** @returns false if the record was consumed by another use, or does not exist */
  consume(key: ArtifactKey, use: ConsumptionMark): Promise<boolean>
  /** Consumes a record whatever consumed it before. */
  consumeAgain(key: ArtifactKey, use: ConsumptionMark): Promise<void>
  /** Undoes a consumption by this use. */
  unconsume(key: ArtifactKey, use: ConsumptionMark): Promise<void>
  /** @returns null if the record has no grant, undefined if there is no record */
  grantOf(key: ArtifactKey): Promise<string | null | undefined>
  destroy(key: ArtifactKey): Promise<void>
  /** Deletes all records with these grants, given as stored ids. */
  revoke(grantIds: readonly string[]): Promise<void>
  /**
   * Deletes an owner's records, other than sessions, among the FORGET_BATCH records (`forget.ts`)
   * after a key.
   * @returns key of the last record; undefined if no more follow
   */
  forget(owner: OwnerOfRecords, after: ArtifactKey): Promise<ArtifactKey | undefined>
  /** Consumes an owner's sessions in the same way. */
  endSessions(
    owner: OwnerOfRecords,
    after: ArtifactKey,
    use: ConsumptionMark,
  ): Promise<ArtifactKey | undefined>
  /** Deletes at most `limit` records that expired before an instant. @returns their number */
  sweep(before: number, limit: number): Promise<number>
  client(issuer: string, id: string): Promise<ClientRow | undefined>
  close(): Promise<void>
}
