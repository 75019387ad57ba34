import { KeyturnError, StoreUnavailable } from './errors.ts'

/** Meaning of system error codes for files, and how to mend the problem. */
const HINTS: Readonly<Record<string, string>> = {
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full; free some space',
  EACCES: 'permission denied; check the owner of the directory',
  ENOENT: 'the directory does not exist',
  EISDIR: 'it is a directory; name a file',
  ENOTDIR: 'a file is in the place of a directory; name another',
}

/**
 * Does work on files and turns system errors into StoreUnavailable, with what was attempted and how
 * to mend it. Errors of Keyturn are not changed.
 * @param what words that follow "Cannot"
 * @throws StoreUnavailable
 */
export async function onFiles<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof KeyturnError) throw error
    const { code = '', message } = error as NodeJS.ErrnoException
    throw new StoreUnavailable(`Cannot ${what}: ${HINTS[code] ?? message}`, error)
  }
}
