import type { ArtifactRecord, Use } from './artifact-record.ts'

/** Names a record. */
export type ArtifactKey = Pick<ArtifactRecord, 'model' | 'id'>

export type FoundArtifact = Pick<ArtifactRecord, 'model' | 'id' | 'payload' | 'consumedAt'>

/**
 * The table `artifact` of a server, as the statements of one engine: each method is one statement
 * where the engine allows it. They reject with errors of the driver.
 */
export interface ArtifactTable {
  /** Most records that go into one statement, of so many that wait. */
  readonly batch: (waiting: number) => number
  /** Those that are there, in any order. */
  find(keys: readonly ArtifactKey[]): Promise<readonly FoundArtifact[]>
  findBy(
    column: 'uid' | 'user_code',
    model: string,
    value: string,
  ): Promise<Omit<FoundArtifact, 'model' | 'id'> | undefined>
  /** Inserts or replaces; a record that was consumed stays so. No key comes twice. */
  upsert(records: readonly ArtifactRecord[]): Promise<void>
  /** Inserts, or replaces what expired before `now`. @returns false where neither */
  insertOnce(record: ArtifactRecord, now: number): Promise<boolean>
  /** @returns false where it was consumed before by another use, or is not there */
  consume(key: ArtifactKey, use: Use): Promise<boolean>
  /** Where it was consumed by this use. */
  unconsume(key: ArtifactKey, use: Use): Promise<void>
  grantOf(key: ArtifactKey): Promise<string | undefined>
  destroy(key: ArtifactKey): Promise<void>
  /** All with these grants. */
  revoke(grantIds: readonly string[]): Promise<void>
  /**
   * Deletes what has a pattern of LIKE, with ! to escape, from the FORGET_BATCH records (`forget.ts`)
   * that follow a key.
   * @returns the last of them; undefined where no more follow
   */
  forget(pattern: string, after: ArtifactKey): Promise<ArtifactKey | undefined>
  /** Deletes at most `limit` that expired before an instant. @returns how many */
  sweep(before: number, limit: number): Promise<number>
  /** JSON text of a client. */
  client(id: string): Promise<string | undefined>
  close(): Promise<void>
}
