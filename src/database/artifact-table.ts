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
 * Which of the records that share a look-up column is found: one that can still be used before one that
 * was, and of those the one that lasts longest, so that none that has expired hides one that has not.
 * Booleans sort alike in every engine, and nulls do not.
 */
export const THE_ONE_THAT_COUNTS =
  'ORDER BY consumed_at IS NOT NULL, expires_at IS NOT NULL, expires_at DESC LIMIT 1'

/** The same of records that were read: SQLite sorts a single row at ten times the cost of finding it. */
export function theOneThatCounts<Found extends Pick<ArtifactRecord, 'consumedAt' | 'expiresAt'>>(
  records: readonly Found[],
): Found | undefined {
  const [only, ...others] = records
  if (others.length === 0) return only
  const rank = ({ consumedAt }: Found) => Number(consumedAt !== null)
  const end = ({ expiresAt }: Found) => expiresAt ?? Infinity
  return records.toSorted((a, b) => rank(a) - rank(b) || end(b) - end(a))[0]
}

/** Names a record. */
export type ArtifactKey = Pick<ArtifactRecord, 'model' | 'id'>

/**
 * The table `artifact` of a server, as the statements of one engine: each method is one statement
 * where the engine allows it. They reject with errors of the driver.
 */
export interface ArtifactTable {
  /** Most records that go into one statement, of so many that wait. */
  readonly batch: (waiting: number) => number
  /** Those that are there, in any order. */
  find(keys: readonly ArtifactKey[]): Promise<readonly FoundRecord[]>
  /**
   * Several can have the same user code one after the other, and a session has its uid for longer than its id.
   * @param hash of the uid or the user code
   * @returns the one that counts (`THE_ONE_THAT_COUNTS`)
   */
  findBy(column: 'uid' | 'user_code', model: string, hash: string): Promise<FoundRecord | undefined>
  /** Inserts or replaces; a record that was consumed stays so. No key comes twice. */
  upsert(records: readonly ArtifactRecord[]): Promise<void>
  /** Inserts, or replaces what expired before `now`. @returns false where neither */
  insertOnce(record: ArtifactRecord, now: number): Promise<boolean>
  /** @returns false where it was consumed before by another use, or is not there */
  consume(key: ArtifactKey, use: ConsumptionMark): Promise<boolean>
  /** Where it was consumed by this use. */
  unconsume(key: ArtifactKey, use: ConsumptionMark): Promise<void>
  /** @returns null where it has none, undefined where there is no such record */
  grantOf(key: ArtifactKey): Promise<string | null | undefined>
  destroy(key: ArtifactKey): Promise<void>
  /** All with these grants, named by the ids under which they are stored. */
  revoke(grantIds: readonly string[]): Promise<void>
  /**
   * Deletes what is an owner's from the FORGET_BATCH records (`forget.ts`) that follow a key.
   * @returns the last of them; undefined where no more follow
   */
  forget(column: OwnerColumn, id: string, after: ArtifactKey): Promise<ArtifactKey | undefined>
  /** Deletes at most `limit` that expired before an instant. @returns how many */
  sweep(before: number, limit: number): Promise<number>
  client(issuer: string, id: string): Promise<ClientRow | undefined>
  close(): Promise<void>
}
