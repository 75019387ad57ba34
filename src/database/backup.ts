import { cp, mkdir, open, readdir, readFile, rename } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import Sqlite from 'better-sqlite3-napi'
import { Refused } from '../errors.ts'
import { createFile, syncDirectory } from '../whole-file.ts'
import { attempt } from './failures.ts'

/** What a backup of one machine consists of; whatever is not there is left out. */
export interface BackupSources {
  /** SQLite file. */
  readonly database: string
  /** Directory of keys, for key store `file`. */
  readonly keys?: string | undefined
  /** File of key-encryption keys. */
  readonly kek?: string | undefined
}

/**
 * Writes a backup into a folder that is made for it, for its owner alone, also while servers run: of
 * the database as it is at one instant, which a copy of its file would not be. The witness never
 * belongs into a backup.
 * @returns paths of what was written
 * @throws Refused where the folder holds something; StoreUnavailable
 */
export async function writeBackup(
  folder: string,
  { database, keys, kek }: BackupSources,
): Promise<readonly string[]> {
  return attempt(`write a backup into ${folder}`, async () => {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    if ((await readdir(folder)).length > 0) {
      throw new Refused(
        'backup_folder_taken',
        { folder },
        `The folder ${folder} holds something already. Name one that is new or empty.`,
      )
    }
    const at = (path: string) => join(folder, basename(path))
    // The database first: a key that is made meanwhile is in both or in the directory of keys alone.
    await copySqlite(database, at(database))
    if (keys !== undefined) await copyKeys(keys, at(keys))
    if (kek !== undefined) {
      // A copy would have the mode of its source first.
      const isMade = await createFile(at(kek), await readFile(kek, 'utf8'))
      if (!isMade) {
        throw new Refused(
          'backup_file_taken',
          { path: at(kek) },
          `The key-encryption keys are not in the backup, because ${at(kek)} is something else of it ` +
            'already. Back them up by hand, or give seal.file another name.',
        )
      }
    }
    return [database, keys, kek].flatMap((path) => (path === undefined ? [] : at(path)))
  })
}

/**
 * A copy that was cut off looks like an empty database, which restored would be a first start: so it gets its
 * name when it is whole.
 * @see https://sqlite.org/backup.html
 */
async function copySqlite(from: string, to: string): Promise<void> {
  const draft = `${to}.draft`
  const source = new Sqlite(from, { readonly: true, fileMustExist: true })
  try {
    // SQLite would let everybody read what it makes, until somebody changes that.
    await (await open(draft, 'wx', 0o600)).close()
    await source.backup(draft)
  } finally {
    source.close()
  }
  await rename(draft, to)
  await syncDirectory(dirname(to))
}

/**
 * Of each issuer (`file-key-stores.ts`) keys before events, as a key names events that it knows and these must
 * not be missing. The secret of the deployment, which all need, is with the first.
 */
async function copyKeys(from: string, to: string): Promise<void> {
  const issuers = await readdir(join(from, 'issuers')).catch(ifAbsent)
  for (const folder of ['', ...(issuers ?? []).map((name) => join('issuers', name))]) {
    await mkdir(join(to, folder), { recursive: true, mode: 0o700 })
    for (const part of ['issuer', 'keys', 'events']) {
      // Drafts belong to who is writing them.
      const filter = (path: string) => !path.endsWith('.draft')
      const [source, target] = [from, to].map((path) => join(path, folder, part))
      await cp(source ?? '', target ?? '', { recursive: true, filter }).catch(ifAbsent)
    }
  }
}

function ifAbsent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}
