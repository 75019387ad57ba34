import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { link, open, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Reads files of stores, and writes files that exist completely or not at all, even after a crash:
 * written to a draft, flushed to the disk, then given their name. Only the owner can read them.
 */

/** Ending of drafts; a draft left behind by a crash is never read. */
const DRAFT = '.draft'

/** User and group of a file. */
export interface Owner {
  readonly uid: number
  readonly gid: number
}

/**
 * Reads a file as text. Nobody would ever write to a pipe in the place of a file, and a device has
 * no end, so neither is read.
 * @throws what the system says (`ENOENT` and others), and an error for what is no file
 */
export async function readWholeFile(path: string): Promise<string> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const status = await file.stat()
    if (status.isFile()) return await file.readFile('utf8')
    throw new Error(`${path} is ${status.isDirectory() ? 'a directory' : 'no file'}`)
  } finally {
    await file.close()
  }
}

/**
 * Writes a file that does not exist yet. Of several processes that try at once, only one succeeds,
 * because a hard link fails if the name is taken.
 * @returns false if the name is taken
 */
export async function createFile(path: string, text: string, owner?: Owner): Promise<boolean> {
  const draft = await writeDraft(path, text, owner)
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
export async function replaceFile(path: string, text: string, owner?: Owner): Promise<void> {
  await rename(await writeDraft(path, text, owner), path)
  await syncDirectory(dirname(path))
}

/**
 * Owner for a file that the server must be able to read, also if root writes it: that of the file
 * it replaces, or else of its folder.
 * @returns undefined for other users than root, whose files nobody else can be given
 */
export async function ownerToKeep(path: string): Promise<Owner | undefined> {
  if (process.getuid?.() !== 0) return undefined
  return stat(path).catch(() => stat(dirname(path)))
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

async function writeDraft(path: string, text: string, owner?: Owner): Promise<string> {
  const draft = `${path}.${randomUUID()}${DRAFT}`
  const file = await open(draft, 'wx', 0o600)
  try {
    if (owner) await file.chown(owner.uid, owner.gid)
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
