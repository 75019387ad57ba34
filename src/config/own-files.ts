import { relative, resolve } from 'node:path'
import { databaseFiles, isEmbedded } from '../connection/database-url.ts'
import type { Violation } from '../errors.ts'
import type { Settings } from './schema.ts'
import { witnessPlace } from './witness.ts'

/**
 * Rule that the database, the key-encryption keys and the witness have files of their own, because
 * the error about one would advise deleting another. A configured witness must not be in the folder
 * of the keys either, because a backup of that folder would have it too.
 */
export function sharedFiles(settings: Settings): readonly Violation[] {
  const { database, seal, keyStore, rotation } = settings
  const ofDatabase = isEmbedded(database.url) ? databaseFiles(database.url) : []
  const kekFile = seal.protector === 'file' ? resolve(seal.file) : undefined
  const violations: Violation[] = []
  if (kekFile !== undefined && ofDatabase.includes(kekFile)) {
    violations.push(shared('seal.file', seal.file, OF_DATABASE))
  }
  const place = witnessPlace(settings)
  if (place.type !== 'file') return violations
  const { witness } = rotation
  if (ofDatabase.includes(place.path)) {
    violations.push(shared('rotation.witness', witness, OF_DATABASE))
  } else if (place.path === kekFile) {
    const message = 'the file has the key-encryption keys (seal.file)'
    violations.push(shared('rotation.witness', witness, message))
  } else if (witness !== 'auto' && keyStore.type === 'file' && isIn(keyStore.path, place.path)) {
    const message =
      'the file is in the folder of the keys (keyStore.path), with which it would be restored from a backup'
    violations.push(shared('rotation.witness', witness, message))
  }
  return violations
}

const OF_DATABASE = 'the file belongs to the database (database.url)'

/** Tells whether a path is a folder or inside it. */
function isIn(folder: string, path: string): boolean {
  const way = relative(resolve(folder), path)
  // On Windows the way to another drive is a path from the root.
  return way !== resolve(way) && !/^\.\.(?:[\\/]|$)/.test(way)
}

function shared(path: string, value: string, message: string): Violation {
  const fix = `set ${path} to a file of its own in another folder`
  return { path, value, rule: 'own-file', message, fix }
}
