import type { ArtifactKey } from './artifact-table.ts'

/**
 * Records that a statement searches for those of a person or a client. A search through all records
 * would exceed the time limit of statements and block requests.
 */
export const FORGET_BATCH = 5000

/**
 * Two passes: sessions first, then everything. Without sessions nothing new is issued, and what was
 * issued during the first pass is found by the second, or is invalid without its grant.
 */
const STARTS: readonly ArtifactKey[] = [
  { model: 'Session', id: '' },
  { model: '', id: '' },
]

/**
 * @param step handles the batch after a key. @returns the batch's last key; undefined at the end
 */
export async function forgetInBatches(
  step: (after: ArtifactKey) => Promise<ArtifactKey | undefined>,
): Promise<void> {
  for (const start of STARTS) {
    let after: ArtifactKey | undefined = start
    while (after) after = await step(after)
  }
}
