import { hash } from 'node:crypto'
import { comparableUsername } from './username.ts'

/**
 * Keys by which accounts are found. They are hashes, because an index of any database engine takes
 * a hash, whatever the length and letters of the name.
 */

/** The key of a name; names that compare equal have the same key. */
export function nameKey(username: string): string {
  return hash('sha256', comparableUsername(username), 'base64url')
}

/**
 * The key of a name's skeleton (UTS 39, section 4); names that look alike have the same key. The
 * data are those of Unicode 13 (package `unhomoglyph`), loaded at the first call.
 */
export async function skeletonKey(username: string): Promise<string> {
  const { default: prototypes } = await import('unhomoglyph')
  const name = comparableUsername(username)
    .normalize('NFD')
    .replace(/\p{DI}/gu, '')
  return hash('sha256', prototypes(name).normalize('NFD'), 'base64url')
}
