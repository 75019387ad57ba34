import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Makes a folder that only its owner can enter, and missing folders above it. Node's own recursive
 * `mkdir` never ends where a file system answers ENOENT although the parent exists, as those of
 * automounters and /proc do.
 * @returns false if the folder exists
 * @throws the error of `mkdir`
 */
export async function makePrivateFolder(path: string): Promise<boolean> {
  try {
    return await makeOne(path)
  } catch (error) {
    const parent = dirname(path)
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || parent === path) throw error
    await makePrivateFolder(parent)
    return makeOne(path)
  }
}

async function makeOne(path: string): Promise<boolean> {
  try {
    await mkdir(path, { mode: 0o700 })
    return true
  } catch (error) {
    const there = await stat(path).catch(() => undefined)
    if (there?.isDirectory()) return false
    throw error
  }
}
