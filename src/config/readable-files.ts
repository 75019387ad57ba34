import { readdirSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { databaseFiles, isEmbedded } from '../connection/database-url.ts'
import type { Settings } from './schema.ts'

/** Bits of a file's mode that let its group, or everybody, read or write the file. */
const READABLE = 0o044
const WRITABLE = 0o022

/**
 * Bits of a folder's mode: everybody may add files, and only their owners may delete them. Write
 * access of a group is often intended, as for volumes of Kubernetes.
 */
const WRITABLE_BY_ALL = 0o002
const STICKY = 0o1000

/**
 * Warnings of files with secrets that other users of this machine can read, change or replace.
 * Keyturn makes its files with mode 0600; others were made, copied or restored by hand.
 * @param keysFile the file of `seal.keys`, if the value came from one
 */
export function readableFiles(
  { seal, database, keyStore, dataProtection }: Settings,
  keysFile?: string,
): readonly string[] {
  // Windows has no such modes.
  if (process.platform === 'win32') return []
  const kekFile = seal.protector === 'file' ? seal.file : keysFile
  return [
    ...(kekFile === undefined ? [] : warn([resolve(kekFile)], KEY_ENCRYPTION_KEYS)),
    ...(isEmbedded(database.url) ? warn(databaseFiles(database.url), DATABASE) : []),
    ...(keyStore.type === 'file' ? warn(keyFiles(resolve(keyStore.path)), KEYS) : []),
    ...warn(certificateFiles(dataProtection), CERTIFICATES),
  ]
}

const KEY_ENCRYPTION_KEYS = 'key-encryption keys, which open every signing key'
const DATABASE = 'hashes of passwords and sealed keys (database.url)'
const KEYS = 'sealed signing keys (keyStore.path)'
const CERTIFICATES = 'the certificate of a key ring, or its password (dataProtection.rings)'

function warn(paths: readonly string[], holding: string): readonly string[] {
  const readable = paths.filter((path) => (fileModeOf(path) & READABLE) !== 0)
  const writable = paths.filter((path) => !readable.includes(path) && fileModeOf(path) & WRITABLE)
  const folders = [...new Set(paths.map((path) => dirname(path)))].filter(
    (folder) => (modeOf(folder) & (WRITABLE_BY_ALL | STICKY)) === WRITABLE_BY_ALL,
  )
  return [
    ...warnOf(readable, 'read', holding, 'chmod 600'),
    ...warnOf(writable, 'change', holding, 'chmod 600'),
    ...warnOf(folders, 'put files of their own into', holding, 'chmod o-w'),
  ]
}

function warnOf(
  [first, ...more]: readonly string[],
  can: string,
  holding: string,
  command: string,
): readonly string[] {
  if (first === undefined) return []
  const others = more.length > 0 ? `, and ${more.length} more beside it,` : ''
  return [
    `Other users of this machine can ${can} ${first}${others} with ${holding}. ` +
      `If that is not meant: ${command} ${first}`,
  ]
}

function keyFiles(folder: string): readonly string[] {
  return ['keys', 'events'].flatMap((name) => {
    const inside = join(folder, name)
    return unlessMissing(() => readdirSync(inside), []).map((file) => join(inside, file))
  })
}

function certificateFiles({ rings }: Settings['dataProtection']): readonly string[] {
  const files = rings.flatMap(({ certificates }) =>
    certificates.flatMap(({ file, passwordFile }) => [file, passwordFile ?? file]),
  )
  return [...new Set(files)].map((file) => resolve(file))
}

/** The mode of a file; 0 for a directory, pipe or device, which mode 0600 would make useless. */
function fileModeOf(path: string): number {
  const status = unlessMissing(() => statSync(path), undefined)
  return status?.isFile() ? status.mode : 0
}

function modeOf(path: string): number {
  return unlessMissing(() => statSync(path).mode, 0)
}

/** Ignores a file that cannot be examined, because the code that needs the file reports it. */
function unlessMissing<T>(look: () => T, otherwise: T): T {
  try {
    return look()
  } catch {
    return otherwise
  }
}
