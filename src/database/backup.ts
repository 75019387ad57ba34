import { cp, mkdir, open, readdir, readFile, rename } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import Sqlite from 'better-sqlite3-napi'
import { Refused } from '../errors.ts'
import { createFile, syncDirectory } from '../whole-file.ts'
import { attempt } from './failures.ts'

/** Parts of a backup of one machine; missing parts are left out. */
export interface BackupSources {
  /** SQLite file. */
  readonly database: string
  /** Directory of keys, for key store `file`. */
  readonly keys?: string | undefined
  /** File of key-encryption keys. */
  readonly kek?: string | undefined
}

/**
 * Writes a backup into a new folder that only its owner can read, also while servers run. The
 * database is copied as of a single instant, unlike a copy of its file. The witness must never be
 * in a backup.
 * @returns paths of the written files
 * @throws Refused if the folder is not empty; StoreUnavailable
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
    // The database first, so that a key made meanwhile is in both copies or in the directory of
    // keys alone.
    await copySqlite(database, at(database))
    if (keys !== undefined) await copyKeys(keys, at(keys))
    if (kek !== undefined) {
      // Not copied, because a copy would have the mode of its source first.
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
 * Copies a SQLite database. The copy gets its name only when it is complete, because an interrupted
 * copy looks like an empty database, and restoring that would be a first start.
 * @see https://sqlite.org/backup.html
 */
async function copySqlite(from: string, to: string): Promise<void> {
  const draft = `${to}.draft`
  const source = new Sqlite(from, { readonly: true, fileMustExist: true })
  try {
    // SQLite begins a copy again at each commit of another connection, so beside a server the copy
    // would never end. In one read transaction it sees no commits, and in WAL mode delays none.
    source.exec('BEGIN')
    source.prepare('SELECT count(*) FROM sqlite_schema').get()
    // SQLite makes files that everybody can read.
    await (await open(draft, 'wx', 0o600)).close()
    await source.backup(draft)
  } finally {
    source.close()
  }
  await rename(draft, to)
  await syncDirectory(dirname(to))
}

/**
 * Copies each issuer's folder (`file-key-stores.ts`), keys before events, because a key names
 * events that must not be missing. The first folder has the secret of the deployment.
 */
async function copyKeys(from: string, to: string): Promise<void> {
  const issuers = await readdir(join(from, 'issuers')).catch(ifAbsent)
  for (const folder of ['', ...(issuers ?? []).map((name) => join('issuers', name))]) {
    await mkdir(join(to, folder), { recursive: true, mode: 0o700 })
    for (const part of ['issuer', 'keys', 'events']) {
      // Drafts are still being written by a process.
      const filter = (path: string) => !path.endsWith('.draft')
      const [source, target] = [from, to].map((path) => join(path, folder, part))
      await cp(source ?? '', target ?? '', { recursive: true, filter }).catch(ifAbsent)
    }
  }
}

function ifAbsent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}
