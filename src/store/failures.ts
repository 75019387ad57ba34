import { setTimeout as delay } from 'node:timers/promises'
import { KeyturnError, StoreUnavailable } from '../errors.ts'

/** What a driver's error code means and what to do about it. */
const HINTS: Readonly<Record<string, string>> = {
  SQLITE_READONLY: 'the database is read-only; check the permissions of its file and directory',
  SQLITE_FULL: 'the disk is full; free some space',
  SQLITE_CANTOPEN: 'the file cannot be opened; check that its directory exists and is writable',
  SQLITE_BUSY: 'another process has held the database for too long',
  SQLITE_CORRUPT: 'the file is damaged; restore a backup',
  SQLITE_NOTADB: 'the file is not a SQLite database',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full; free some space',
  EACCES: 'permission denied; check the owner of the directory',
  ENOENT: 'the directory does not exist',
}

/**
 * Milliseconds that a connection waits for another process to let go of SQLite's write lock. It
 * waits inside the driver, where nothing else of this process runs, the JWKS included: hence briefly
 * and often, with pauses in which others are served.
 */
export const BUSY_TIMEOUT = 20
export const BUSY_PAUSE = 80
/** So many times: 5 seconds in all. */
export const BUSY_RETRIES = 50

/** Did another process hold the write lock? Nothing was done then. */
export function isBusy(error: unknown): boolean {
  return codeOf(error).code?.startsWith('SQLITE_BUSY') ?? false
}

/**
 * Runs `work`, again while SQLite is busy, so doing it twice must end as doing it once; an error of a
 * driver becomes StoreUnavailable with what was attempted and a hint.
 */
export async function attempt<T>(what: string, work: () => Promise<T>): Promise<T> {
  for (let left = BUSY_RETRIES; ; left--) {
    try {
      return await work()
    } catch (error) {
      if (error instanceof KeyturnError) throw error
      if (!isBusy(error) || left === 0) throw storeUnavailable(what, error)
      await delay(BUSY_PAUSE)
    }
  }
}

export function storeUnavailable(what: string, error: unknown): StoreUnavailable {
  const { code, message } = codeOf(error)
  const known = Object.keys(HINTS).find((prefix) => code?.startsWith(prefix))
  return new StoreUnavailable(`Cannot ${what}: ${known ? HINTS[known] : message}`, error)
}

/** TypeORM wraps the driver's error and copies its fields; be it one or the other. */
function codeOf(error: unknown): { code: string | undefined; message: string } {
  if (!(error instanceof Error)) return { code: undefined, message: String(error) }
  const { code } = error as NodeJS.ErrnoException
  return { code: typeof code === 'string' ? code : undefined, message: error.message }
}
