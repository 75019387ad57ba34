import type { ArtifactStore } from '../artifacts/artifact-store.ts'
import type { Authentic } from './authentic.ts'

/** The store of all issuers' artifacts: a table or Redis, opened once. */
export interface ArtifactPlace {
  /** Artifacts of an issuer; no other issuer can find, read or delete them. */
  of(authentic: Authentic): ArtifactStore
  /** Deletes at most `limit` expired records of any issuer. @returns number of deleted records */
  sweep(limit: number): Promise<number>
  /**
   * Changes with each commit of another connection, in this process or another. Undefined if the
   * database does not tell; only SQLite does.
   */
  readonly version?: (() => number | undefined) | undefined
  close(): Promise<void>
}
