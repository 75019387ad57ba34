import { SESSION } from '../artifacts/artifact-record.ts'
import type { ArtifactKey } from './artifact-table.ts'

/**
 * Records that a statement searches for those of a person or a client. A search through all records
 * would exceed the time limit of statements and block requests.
 */
export const FORGET_BATCH = 5000

/** Handles the batch after a key. @returns the batch's last key; undefined at the end */
type Step = (after: ArtifactKey) => Promise<ArtifactKey | undefined>

/**
 * Ends sessions (`SESSION`) and then deletes everything else. Without sessions nothing new is
 * issued, and what was issued meanwhile is found by the second pass, or is invalid without its
 * grant.
 */
export async function forgetInBatches(endSessions: Step, forget: Step): Promise<void> {
  let after: ArtifactKey | undefined = { model: SESSION, id: '' }
  while (after) after = await endSessions(after)
  after = { model: '', id: '' }
  while (after) after = await forget(after)
}
