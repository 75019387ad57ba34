import { rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { undoAtExit } from './leftovers.ts'

/** Retries, because programs that were killed a moment ago may still write to the folder. */
const REMOVAL = { recursive: true, force: true, maxRetries: 10 }

/**
 * A directory that is removed at the end of the block: `await using folder = await
 * temporaryFolder()`.
 */
export async function temporaryFolder() {
  const path = await mkdtemp(join(tmpdir(), 'keyturn-test-'))
  const isRemoved = undoAtExit(() => rmSync(path, REMOVAL))
  const remove = async () => {
    await rm(path, REMOVAL)
    isRemoved()
  }
  return { path, remove, [Symbol.asyncDispose]: remove }
}
