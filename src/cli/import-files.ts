import type { Dirent } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { readBounded } from '../bounded-file.ts'
import { Refused } from '../errors.ts'
import type { NamedFile } from '../import/duende.ts'
import { DATABASE_BYTES_MAX, INPUT_BYTES_MAX } from '../import/input.ts'
import { isLoopback } from '../values/loopback.ts'

/** Reads files, directories and addresses of other systems; `import/` parses their content. */

/** Seconds after which a request to another issuer fails. */
const FETCH_TIMEOUT = 15
/** Bytes of a file with a password, or with several. */
const SECRETS_BYTES_MAX = 64 * 1024

interface Bound {
  /** Bytes that a reader takes; it gets one byte more of a larger file, and says what to do. */
  readonly max?: number
}

/** Reads one file. @throws Refused `source_unreadable` */
export async function sourceFile(
  path: string,
  { max = DATABASE_BYTES_MAX }: Bound = {},
): Promise<NamedFile> {
  const name = basename(path)
  const log = await stat(`${path}-wal`).catch(() => undefined)
  if (log?.size && (await stat(path).catch(unreadable(path))).size <= max) {
    const { wholeSqlite } = await import('../database/foreign-table.ts')
    return { name, bytes: wholeSqlite(path, max) ?? new Uint8Array(max + 1) }
  }
  const bytes = await readBounded(path, max).catch(unreadable(path))
  return { name, bytes: bytes ?? new Uint8Array(max + 1) }
}

/**
 * Reads the files of a directory in the order of names; everything else is passed over.
 * @param options.named which names are of interest; `options.most` how many files, at most
 * @throws Refused `source_unreadable`
 */
export async function sourceFiles(
  directory: string,
  { named = () => true, most = 10_000, max }: FilesOptions,
): Promise<readonly NamedFile[]> {
  const names = await sourceNames(directory, named)
  if (names.length > most) {
    throw unreadableFor(directory, `it has ${names.length} files, and at most ${most} are read.`)
  }
  const files: NamedFile[] = []
  let size = 0
  for (const name of names) {
    const file = await sourceFile(join(directory, name), { max })
    size += file.bytes.length
    if (size > DATABASE_BYTES_MAX) {
      const all = `its files have more than ${DATABASE_BYTES_MAX} bytes together`
      throw unreadableFor(directory, `${all}. Leave those with keys in it.`)
    }
    files.push(file)
  }
  return files
}

/** Names of the files in a directory, in their order. @throws Refused `source_unreadable` */
export async function sourceNames(
  directory: string,
  named: (name: string) => boolean,
): Promise<readonly string[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(unreadable(directory))
  const wanted = entries.filter(({ name }) => !name.startsWith('.') && named(name))
  const names: string[] = []
  for (const entry of wanted) if (await isFile(directory, entry)) names.push(entry.name)
  return names.sort()
}

interface FilesOptions {
  readonly named?: (name: string) => boolean
  readonly most?: number
  readonly max: number
}

/** A link counts as what it leads to: Kubernetes mounts secrets as links. */
async function isFile(directory: string, entry: Dirent): Promise<boolean> {
  if (!entry.isSymbolicLink()) return entry.isFile()
  const path = join(directory, entry.name)
  return (await stat(path).catch(unreadable(path))).isFile()
}

export async function isDirectory(path: string): Promise<boolean> {
  return (await stat(path).catch(unreadable(path))).isDirectory()
}

/**
 * Fetches the content of an address.
 * @throws Refused `source_unreadable` if the address is neither https nor on this machine, or does
 * not answer
 */
export async function sourceAt(address: string): Promise<NamedFile> {
  const url = URL.parse(address)
  // A password in it is in no message.
  const shown = url ? `${url.origin}${url.pathname}` : 'The address'
  const refuse = (why: string) => unreadableFor(shown, why)
  if (!url) throw refuse('it is no URL.')
  if (url.username !== '' || url.password !== '') {
    throw refuse('a JWKS is published, so its address has neither user name nor password.')
  }
  if (url.protocol !== 'https:' && !isLoopback(url.hostname)) {
    throw refuse('keys need https, because whoever changes keys on the way can sign tokens.')
  }
  try {
    const answer = await fetch(url, {
      redirect: 'error',
      signal: AbortSignal.timeout(FETCH_TIMEOUT * 1000),
    })
    if (!answer.ok) throw refuse(`it answers with status ${answer.status}.`)
    const chunks: Uint8Array[] = []
    let size = 0
    for await (const chunk of answer.body ?? []) {
      size += chunk.length
      if (size > INPUT_BYTES_MAX) {
        throw refuse(`its answer has more than ${INPUT_BYTES_MAX} bytes.`)
      }
      chunks.push(chunk)
    }
    return { name: shown, bytes: Buffer.concat(chunks) }
  } catch (error) {
    if (error instanceof Refused) throw error
    const { message, cause } = error as Error
    throw refuse(cause instanceof Error ? cause.message : message)
  }
}

/** Reads a file with one secret, without the newline at its end. @throws Refused */
export async function secretFile(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined
  const bytes = await readBounded(path, SECRETS_BYTES_MAX).catch(unreadable(path))
  if (!bytes) throw unreadableFor(path, `it has more than ${SECRETS_BYTES_MAX} bytes.`)
  return Buffer.from(bytes)
    .toString('utf8')
    .replace(/\r?\n$/, '')
}

function unreadableFor(source: string, why: string): Refused {
  return new Refused('source_unreadable', { source }, `${source} cannot be read: ${why}`)
}

const WHY: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or directory.',
  EACCES: 'this account has no permission for it.',
  ENOTDIR: 'it is no directory.',
  EISDIR: 'it is a directory, and a file is needed.',
  ELOOP: 'its links lead nowhere.',
}

function unreadable(source: string) {
  return (error: NodeJS.ErrnoException): never => {
    const why = WHY[error.code ?? ''] ?? error.message
    throw new Refused('source_unreadable', { source }, `${source} cannot be read: ${why}`)
  }
}
