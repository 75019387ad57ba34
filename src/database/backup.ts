import { open, readdir, rename } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import Sqlite from 'better-sqlite3-napi'
import { readBoundedText } from '../bounded-file.ts'
import { Refused, StoreUnavailable } from '../errors.ts'
import { makePrivateFolder } from '../private-folder.ts'
import { KEK_FILE_BYTES_MAX } from '../seal/protector.ts'
import { createFile, readWholeFile, syncDirectory } from '../whole-file.ts'
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
    await makePrivateFolder(folder)
    if ((await readdir(folder)).length > 0) {
      throw new Refused(
        'backup_folder_taken',
        { folder },
        `The folder ${folder} holds something already. Name one that is new or empty.`,
      )
    }
    // Read before anything is written, because a folder that lacks them would look like a backup.
    const kekText = kek === undefined ? undefined : await readKek(kek)
    const at = (path: string) => join(folder, basename(path))
    // The database first, so that a key made meanwhile is in both copies or in the directory of
    // keys alone.
    await copySqlite(database, at(database))
    if (keys !== undefined) await copyKeys(keys, at(keys))
    if (kek !== undefined && kekText !== undefined) {
      // Not copied, because a copy would have the mode of its source first.
      const isMade = await createFile(at(kek), kekText)
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

async function readKek(path: string): Promise<string> {
  return readBoundedText(path, KEK_FILE_BYTES_MAX).catch((error: Error) => {
    throw new Refused(
      'backup_kek_unreadable',
      { path },
      `The key-encryption keys (seal.file) cannot be backed up: ${error.message}. No backup was written.`,
    )
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
 * Copies each issuer's folder (`file-key-stores.ts`). The first one has the secret of the
 * deployment.
 */
async function copyKeys(from: string, to: string): Promise<void> {
  const issuers = await namesIn(join(from, 'issuers'))
  for (const folder of ['', ...issuers.map((name) => join('issuers', name))]) {
    await copyIssuer(join(from, folder), join(to, folder))
  }
}

/**
 * Copies the files of an issuer as of a single instant. If files come or go while they are read,
 * they are read again, because the copy may lack an event that a key names, or a part of a batch.
 */
async function copyIssuer(from: string, to: string): Promise<void> {
  const files = await recordsIn(from)
  for (const part of PARTS) await makePrivateFolder(join(to, part))
  for (const { name, text } of files) await createFile(join(to, name), text)
}

async function recordsIn(
  folder: string,
): Promise<readonly { readonly name: string; readonly text: string }[]> {
  for (let reads = 0; reads < READS_MAX; reads++) {
    if (reads > 0) await delay(PAUSE)
    const names = await recordNames(folder)
    const files = await Promise.all(
      names.map(async (name) => {
        const text = await readWholeFile(join(folder, name)).catch(ifAbsent)
        return text === undefined ? [] : { name, text }
      }),
    )
    const found = files.flat()
    const isWhole = found.length === names.length
    if (isWhole && isDeepStrictEqual(await recordNames(folder), names)) return found
  }
  throw new StoreUnavailable(
    `Cannot back up the keys in ${folder}: they change all the time. Try again later.`,
  )
}

/** Times that the files of an issuer are read in 10 seconds, as long as a large import may take. */
const READS_MAX = 100
/** Milliseconds between two of these times. */
const PAUSE = 100

/** Folders of an issuer with files; the issuer's own has its batches. */
const PARTS = ['', 'keys', 'events']

/** Names of files in an issuer's folder, relative to it. Drafts are no records. */
async function recordNames(folder: string): Promise<readonly string[]> {
  const names = await Promise.all(
    PARTS.map(async (part) => (await namesIn(join(folder, part))).map((name) => join(part, name))),
  )
  return names.flat().filter((name) => name.endsWith('.json') || name === 'issuer')
}

async function namesIn(folder: string): Promise<readonly string[]> {
  return (await readdir(folder).catch(ifAbsent))?.sort() ?? []
}

function ifAbsent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}
