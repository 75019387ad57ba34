import { hash } from 'node:crypto'
import { comparableUsername } from './username.ts'

/**
 * Keys by which accounts are found: hashes, so that an index of any engine takes them, however long a name
 * is and whatever the engine thinks of its letters.
 */

/** Two names that are compared as equal have the same one. */
export function nameKey(username: string): string {
  return hash('sha256', comparableUsername(username), 'base64url')
}

/**
 * Two names that look alike have the same one: it is of the skeleton of UTS 39, section 4. The data are those of
 * Unicode 13 (the package `unhomoglyph`), loaded where they are first asked for.
 */
export async function skeletonKey(username: string): Promise<string> {
  const { default: prototypes } = await import('unhomoglyph')
  const name = comparableUsername(username)
    .normalize('NFD')
    .replace(/\p{DI}/gu, '')
  return hash('sha256', prototypes(name).normalize('NFD'), 'base64url')
}
