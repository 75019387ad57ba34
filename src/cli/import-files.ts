import { existsSync } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { Refused } from '../errors.ts'
import type { NamedFile } from '../import/duende.ts'
import { DATABASE_BYTES_MAX, INPUT_BYTES_MAX } from '../import/input.ts'
import { isLoopback } from '../values/loopback.ts'

/** What commands read of other systems: files, directories and addresses. Their content is for `import/`. */

/** Seconds for an answer of another issuer. */
const PATIENCE = 15

/** @throws Refused `source_unreadable` */
export async function sourceFile(path: string): Promise<NamedFile> {
  const { size } = await stat(path).catch(unreadable(path))
  const name = basename(path)
  // One more than any reader takes, so that it says what to do.
  if (size > DATABASE_BYTES_MAX) return { name, bytes: new Uint8Array(DATABASE_BYTES_MAX + 1) }
  if (existsSync(`${path}-wal`)) {
    const { wholeSqlite } = await import('../database/foreign-table.ts')
    return { name, bytes: wholeSqlite(path) }
  }
  return { name, bytes: await readFile(path).catch(unreadable(path)) }
}

/** The files of a directory by name; what is no file is passed over. @throws Refused `source_unreadable` */
export async function sourceFiles(directory: string): Promise<readonly NamedFile[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(unreadable(directory))
  const names = entries.flatMap((entry) =>
    entry.isDirectory() || entry.name.startsWith('.') ? [] : entry.name,
  )
  const files: NamedFile[] = []
  for (const name of names.sort()) files.push(await sourceFile(join(directory, name)))
  return files
}

export async function isDirectory(path: string): Promise<boolean> {
  return (await stat(path).catch(unreadable(path))).isDirectory()
}

/**
 * What is published at an address.
 * @throws Refused `source_unreadable` for one that is neither https nor on this machine, or that does not answer
 */
export async function sourceAt(address: string): Promise<NamedFile> {
  const url = new URL(address)
  const refuse = (why: string) =>
    new Refused('source_unreadable', { source: address }, `${address} cannot be read: ${why}`)
  if (url.protocol !== 'https:' && !isLoopback(url.hostname)) {
    throw refuse('keys come by https, because whoever changes them on their way signs tokens.')
  }
  try {
    const answer = await fetch(url, {
      redirect: 'error',
      signal: AbortSignal.timeout(PATIENCE * 1000),
    })
    if (!answer.ok) throw refuse(`it answers ${answer.status}.`)
    const chunks: Uint8Array[] = []
    let size = 0
    for await (const chunk of answer.body ?? []) {
      size += chunk.length
      if (size > INPUT_BYTES_MAX) throw refuse('it answers too much.')
      chunks.push(chunk)
    }
    return { name: address, bytes: Buffer.concat(chunks) }
  } catch (error) {
    if (error instanceof Refused) throw error
    const { message, cause } = error as Error
    throw refuse(cause instanceof Error ? cause.message : message)
  }
}

/** The text of a file that holds one secret; the newline at its end is none of it. @throws Refused */
export async function secretFile(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined
  const text = await readFile(path, 'utf8').catch(unreadable(path))
  return text.replace(/\r?\n$/, '')
}

function unreadable(source: string) {
  return (error: NodeJS.ErrnoException): never => {
    const why = error.code === 'ENOENT' ? 'there is no such file or directory.' : error.message
    throw new Refused('source_unreadable', { source }, `${source} cannot be read: ${why}`)
  }
}
