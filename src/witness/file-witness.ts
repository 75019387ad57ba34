import { dirname, join } from 'node:path'
import { onFiles } from '../file-failure.ts'
import { withFileLock } from '../file-lock.ts'
import { makePrivateFolder } from '../private-folder.ts'
import { createFile, ownerToKeep, readWholeFile, replaceFile } from '../whole-file.ts'
import { NOTHING_WITNESSED, type Witness, type WitnessRecord } from './witness.ts'
import { parseWitness, witnessText } from './witness-text.ts'

/**
 * A witness in a file, which all processes of a machine share. Writing takes a lock; reading needs
 * none, because the file is replaced as a whole.
 * @param path of the file; a missing folder is made with mode 0700 and a tag that tells backup
 * programs to skip it
 */
export function createFileWitness(path: string): Witness {
  async function read(): Promise<WitnessRecord | undefined> {
    const text = await readWholeFile(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined
      throw error
    })
    return text === undefined ? undefined : parseWitness(text, where)
  }
  const where = `the file ${path}`

  return {
    where,
    canBeAway: false,
    read: () => onFiles(`read the witness ${path} (rotation.witness)`, read),
    update: (change) =>
      onFiles(`write the witness ${path} (rotation.witness)`, async () => {
        await makeFolder(dirname(path))
        return withFileLock(`${path}.lock`, async () => {
          const before = await read()
          const after = change(before ?? NOTHING_WITNESSED)
          if (before === undefined || after !== before) {
            await replaceFile(path, witnessText(after), await ownerToKeep(path))
          }
          return after
        })
      }),
  }
}

/** @see https://bford.info/cachedir/ which tar, borg, restic and others know */
const TAG = `Signature: 8a477f597d28d172789f06886806bc55
# NEVER BACK UP THIS FOLDER, and never restore it. Keyturn remembers here which keys were revoked, so that a
# database which was restored from a backup cannot make anybody trust them again. Restored together with the
# database it would remember no more than the database does.
# This file tells programs such as tar --exclude-caches, borg --exclude-caches and restic --exclude-caches.
`

/**
 * Makes a missing folder with the tag. An existing folder is left alone, because it may have other
 * content.
 */
async function makeFolder(folder: string): Promise<void> {
  if (await makePrivateFolder(folder)) await createFile(join(folder, 'CACHEDIR.TAG'), TAG)
}
