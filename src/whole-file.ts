import { randomUUID } from 'node:crypto'
import { link, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Writes files that exist completely or not at all, even after a crash: written to a draft, flushed
 * to the disk, then given their name. Only the owner can read them.
 */

/** Ending of drafts; a draft left behind by a crash is never read. */
const DRAFT = '.draft'

/**
 * Writes a file that does not exist yet. Of several processes that try at once, only one succeeds,
 * because a hard link fails if the name is taken.
 * @returns false if the name is taken
 */
export async function createFile(path: string, text: string): Promise<boolean> {
  const draft = await writeDraft(path, text)
  try {
    await link(draft, path)
    await syncDirectory(dirname(path))
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return false
  } finally {
    await rm(draft, { force: true })
  }
}

/** Replaces a file atomically: a reader sees the old or the new content. */
export async function replaceFile(path: string, text: string): Promise<void> {
  await rename(await writeDraft(path, text), path)
  await syncDirectory(dirname(path))
}

/** Flushes a directory, because a new or removed name is durable only after that. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function writeDraft(path: string, text: string): Promise<string> {
  const draft = `${path}.${randomUUID()}${DRAFT}`
  const file = await open(draft, 'wx', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  } finally {
    await file.close()
  }
  return draft
}
