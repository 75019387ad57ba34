import { randomUUID } from 'node:crypto'
import { link, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { createFile, ownerToKeep, readWholeFile } from './whole-file.ts'

/** Milliseconds between two checks of a lock that another process holds. */
const PAUSE = 20

/**
 * Checks, in 3 seconds, after which an unchanged holder counts as crashed, because work under a
 * lock takes milliseconds.
 */
const CHECKS_UNTIL_CRASHED = 150

/**
 * Does work while no other process of this machine works under the same path. A process that
 * crashed while holding the lock delays others by 3 seconds, once.
 * @param path of a file that exists while a process holds the lock
 */
export async function withFileLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  const token = randomUUID()
  await acquire(path, token)
  try {
    return await work()
  } finally {
    // Removed only if another process has not taken the lock over meanwhile.
    if ((await holderOf(path)) === token) await rm(path, { force: true })
  }
}

async function acquire(path: string, token: string): Promise<void> {
  let holder: string | undefined
  let checks = 0
  // A server must see who holds the lock, also while a command run as root does.
  const owner = await ownerToKeep(dirname(path))
  while (!(await createFile(path, token, owner))) {
    const seen = await holderOf(path)
    checks = seen === holder ? checks + 1 : 0
    holder = seen
    if (checks < CHECKS_UNTIL_CRASHED) await delay(PAUSE)
    else if (holder !== undefined) await breakLock(path, holder)
  }
}

/** Removes the lock of a crashed holder, and only of this holder. */
async function breakLock(path: string, holder: string): Promise<void> {
  const aside = `${path}.${randomUUID()}.draft`
  try {
    await rename(path, aside)
    // Another process may have broken the lock and hold it now; then the lock is given back to it.
    if ((await holderOf(aside)) !== holder) await link(aside, path)
  } catch (error) {
    if (!['ENOENT', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  } finally {
    await rm(aside, { force: true })
  }
}

async function holderOf(path: string): Promise<string | undefined> {
  return readWholeFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
}
