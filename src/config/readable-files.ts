import { readdirSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { isEmbedded } from '../database-url.ts'
import type { Settings } from './schema.ts'

/** Bits of a file's mode that let its group, or anybody, read it. */
const READABLE = 0o044

/**
 * Files with secrets that other users of this machine can read. Keyturn makes its own with mode 0600; these
 * were made, copied or restored by somebody else.
 * @param keysFile the file that `seal.keys` was read from, if it was
 */
export function readableFiles(
  { seal, database, keyStore }: Settings,
  keysFile?: string,
): readonly string[] {
  // Windows has no such modes.
  if (process.platform === 'win32') return []
  const kekFile = seal.protector === 'file' ? seal.file : keysFile
  return [
    ...(kekFile === undefined ? [] : warn([resolve(kekFile)], KEY_ENCRYPTION_KEYS)),
    ...(isEmbedded(database.url) ? warn(databaseFiles(database.url), DATABASE) : []),
    ...(keyStore.type === 'file' ? warn(keyFiles(resolve(keyStore.path)), KEYS) : []),
  ]
}

const KEY_ENCRYPTION_KEYS = 'key-encryption keys, which open every signing key'
const DATABASE = 'hashes of passwords and sealed keys (database.url)'
const KEYS = 'sealed signing keys (keyStore.path)'

function warn(paths: readonly string[], holding: string): readonly string[] {
  const open = paths.filter(isReadableByOthers)
  const [first] = open
  if (first === undefined) return []
  const others = open.length > 1 ? `, and ${open.length - 1} more beside it,` : ''
  return [
    `Other users of this machine can read ${first}${others} with ${holding}. ` +
      `If that is not meant: chmod 600 ${first}`,
  ]
}

/** SQLite gives its log and the log's index the mode that the database has when they are made. */
function databaseFiles(url: string): readonly string[] {
  const path = resolve(url.slice('sqlite:'.length))
  return [path, `${path}-wal`, `${path}-shm`]
}

function keyFiles(folder: string): readonly string[] {
  return ['keys', 'events'].flatMap((name) => {
    const inside = join(folder, name)
    return unlessMissing(() => readdirSync(inside), []).map((file) => join(inside, file))
  })
}

function isReadableByOthers(path: string): boolean {
  return unlessMissing(() => (statSync(path).mode & READABLE) !== 0, false)
}

/** What cannot be looked at is reported by who needs it. */
function unlessMissing<T>(look: () => T, otherwise: T): T {
  try {
    return look()
  } catch {
    return otherwise
  }
}
