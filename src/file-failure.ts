import { KeyturnError, StoreUnavailable } from './errors.ts'

/** What the code of a system's error means for a file, and what to do about it. */
const HINTS: Readonly<Record<string, string>> = {
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full; free some space',
  EACCES: 'permission denied; check the owner of the directory',
  ENOENT: 'the directory does not exist',
}

/**
 * Works on files; an error of the system becomes StoreUnavailable, which says what was attempted and
 * how to mend it. Errors of Keyturn pass as they are.
 * @param what to end the sentence "Cannot ..."
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
