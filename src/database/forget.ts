import type { ArtifactKey } from './artifact-table.ts'

/**
 * Records that one statement looks through for what belongs to a person or a client: all of them
 * would take longer than a statement may, and hold up requests meanwhile.
 */
export const FORGET_BATCH = 5000

/**
 * Walks from the sessions, which are near the end, and then through everything: where the sessions
 * are gone, what they gave out meanwhile is found by the second walk, or worth nothing without its
 * grant.
 */
const STARTS: readonly ArtifactKey[] = [
  { model: 'Session', id: '' },
  { model: '', id: '' },
]

/** @param step deals with one batch after a key. @returns its last key; undefined at the end */
export async function forgetInBatches(
  step: (after: ArtifactKey) => Promise<ArtifactKey | undefined>,
): Promise<void> {
  for (const start of STARTS) {
    let after: ArtifactKey | undefined = start
    while (after) after = await step(after)
  }
}
