import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A directory that is gone at the end of the block: `await using folder = await temporaryFolder()`. */
export async function temporaryFolder() {
  const path = await mkdtemp(join(tmpdir(), 'keyturn-test-'))
  const remove = () => rm(path, { recursive: true, force: true })
  return { path, remove, [Symbol.asyncDispose]: remove }
}
