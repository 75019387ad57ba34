import type { ArtifactStore } from '../artifacts/artifact-store.ts'
import type { Authentic } from './authentic.ts'

/** Where the artifacts of all issuers are: one table or Redis, opened once. */
export interface ArtifactPlace {
  /** Those of one issuer, which alone can find, read or delete them. */
  of(authentic: Authentic): ArtifactStore
  /** Deletes at most `limit` records that have expired, whosever they are. @returns how many it deleted */
  sweep(limit: number): Promise<number>
  close(): Promise<void>
}
