import { rmSync, statfsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { undoAtExit } from './leftovers.ts'

/** Retries, because programs that were killed a moment ago may still write to the folder. */
const REMOVAL = { recursive: true, force: true, maxRetries: 10 }

/** Memory as a file system, where writes need not wait for a disk. */
const MEMORY = '/dev/shm'

/** Bytes that must be free there; containers often have 64 MB, which some tests would fill. */
const ENOUGH = 2 * 1024 ** 3

/** TMPDIR where it is set, else memory if there is enough of it. */
const ROOT = process.env.TMPDIR === undefined && hasMemory() ? MEMORY : tmpdir()

function hasMemory(): boolean {
  try {
    const { bavail, bsize } = statfsSync(MEMORY)
    return bavail * bsize >= ENOUGH
  } catch {
    return false
  }
}

/**
 * A directory that is removed at the end of the block: `await using folder = await
 * temporaryFolder()`.
 * @param root where it is made
 */
export async function temporaryFolder(root = ROOT) {
  const path = await mkdtemp(join(root, 'keyturn-test-'))
  const isRemoved = undoAtExit(() => rmSync(path, REMOVAL))
  const remove = async () => {
    await rm(path, REMOVAL)
    isRemoved()
  }
  return { path, remove, [Symbol.asyncDispose]: remove }
}
