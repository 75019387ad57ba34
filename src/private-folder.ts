import { mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'

/**
 * Makes a folder that only its owner can enter, and missing folders above it. Node's own recursive
 * `mkdir` never ends where a file system answers ENOENT although the parent exists, as those of
 * automounters and /proc do.
 * @returns false if the folder exists
 * @throws the error of `mkdir`
 */
export function makePrivateFolder(path: string): boolean {
  try {
    return makeOne(path)
  } catch (error) {
    const parent = dirname(path)
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || parent === path) throw error
    makePrivateFolder(parent)
    return makeOne(path)
  }
}

function makeOne(path: string): boolean {
  try {
    mkdirSync(path, { mode: 0o700 })
    return true
  } catch (error) {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return false
    throw error
  }
}
