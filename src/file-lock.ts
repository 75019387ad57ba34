import { randomUUID } from 'node:crypto'
import { link, readFile, rename, rm } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { createFile } from './whole-file.ts'

/** Milliseconds between two looks at a lock that another process holds. */
const PAUSE = 20

/**
 * So many looks, 3 seconds in all, at one and the same holder: it has crashed. What is done under a
 * lock takes milliseconds.
 */
const PATIENCE = 150

/**
 * Does something while no other process of this machine does it under the same path. Whoever crashed
 * with the lock in hand holds others up for 3 seconds, once.
 * @param path of a file that is there while somebody works
 */
export async function withFileLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  const token = randomUUID()
  await acquire(path, token)
  try {
    return await work()
  } finally {
    // Not one that somebody else took over since.
    if ((await holderOf(path)) === token) await rm(path, { force: true })
  }
}

async function acquire(path: string, token: string): Promise<void> {
  let holder: string | undefined
  let looks = 0
  while (!(await createFile(path, token))) {
    const seen = await holderOf(path)
    looks = seen === holder ? looks + 1 : 0
    holder = seen
    if (looks < PATIENCE) await delay(PAUSE)
    else if (holder !== undefined) await breakLock(path, holder)
  }
}

/** Takes the lock away from a holder that has crashed, and from nobody else. */
async function breakLock(path: string, holder: string): Promise<void> {
  const aside = `${path}.${randomUUID()}.draft`
  try {
    await rename(path, aside)
    // Another process may have done the same, and hold it by now: it gets it back.
    if ((await holderOf(aside)) !== holder) await link(aside, path)
  } catch (error) {
    if (!['ENOENT', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  } finally {
    await rm(aside, { force: true })
  }
}

async function holderOf(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
}
