import { createHash } from 'node:crypto'
import { readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { createFile } from '../whole-file.ts'
import { KeyRingUnreadable } from './errors.ts'
import type { NewElement, RingStore, StoredElement, StoredRing } from './ring-store.ts'
import { XML_LENGTH_MAX } from './xml.ts'

/**
 * A ring in a directory, as `PersistKeysToFileSystem` keeps it: one file for each element, read whatever its
 * name if it ends in `.xml`.
 */

const BYTE_ORDER_MARK = '\ufeff'
const DECLARATION = '<?xml version="1.0" encoding="utf-8"?>\n'
/** Ends the name of an element that is about to be added; ASP.NET Core does not read it. */
const CLAIM = '.claim'
/** UTF-8 takes up to three bytes for a character of JavaScript. */
const BYTES_MAX = 3 * XML_LENGTH_MAX

export function openDirectoryStore(directory: string): RingStore {
  return {
    where: directory,
    read: async () => {
      const names = await listNames(directory)
      const elements: StoredElement[] = []
      for (const name of names) {
        const element = await readElement(directory, name)
        if (element) elements.push(element)
      }
      return { elements, version: versionOf(names) } satisfies StoredRing
    },
    append: (element, version) => append(directory, element, version),
    close: async () => {},
  }
}

/**
 * Adds a file without a lock. A node first claims the version of the ring that it read: it creates, by a link
 * that fails where the name is taken, a file named after that version, with the element in it. If the ring still has that
 * version, it gives the element its name. Whoever finds the claim of a node that died in between
 * completes it. A version that was left by all does not come back, as names are random.
 */
async function append(directory: string, element: NewElement, version: string): Promise<boolean> {
  const claim = join(directory, `keyturn-${version}${CLAIM}`)
  const text = JSON.stringify({ name: element.name, indented: element.indented } satisfies Claim)
  try {
    if (!(await createFile(claim, text))) {
      await completeClaim(directory, { claim, version })
      return false
    }
    if (versionOf(await listNames(directory)) !== version) {
      await rm(claim, { force: true })
      return false
    }
    await giveName(directory, element)
    await rm(claim, { force: true })
    return true
  } catch (error) {
    throw unavailable(directory, 'added to', error)
  }
}

type Claim = Pick<NewElement, 'name' | 'indented'>

/** The claim is read before the ring is listed: if the ring moved on in between, it was completed or given up. */
async function completeClaim(
  directory: string,
  { claim, version }: { readonly claim: string; readonly version: string },
): Promise<void> {
  const text = await readFile(claim, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (text === undefined) return
  const element = JSON.parse(text) as Claim
  if (versionOf(await listNames(directory)) !== version) return
  await giveName(directory, element)
  await rm(claim, { force: true })
}

/** Readers see the whole file or none. Whoever gives the same element its name second changes nothing. */
async function giveName(directory: string, { name, indented }: Claim): Promise<void> {
  await createFile(join(directory, `${name}.xml`), BYTE_ORDER_MARK + DECLARATION + indented)
}

/** @throws KeyRingUnreadable also where the directory is missing: it may be a volume that is not mounted */
async function listNames(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).filter((name) => name.endsWith('.xml'))
  } catch (error) {
    throw unavailable(directory, 'read', error)
  }
}

function versionOf(names: readonly string[]): string {
  return createHash('sha256').update(names.toSorted().join('\n')).digest('hex').slice(0, 32)
}

/** Undefined where the file is gone meanwhile. */
async function readElement(directory: string, name: string): Promise<StoredElement | undefined> {
  const path = join(directory, name)
  try {
    const status = await stat(path)
    if (!status.isFile()) return unreadable(name, 'it is no file')
    if (status.size > BYTES_MAX) {
      const message = `It has ${status.size} bytes, and no element of a ring is so large. Remove it.`
      return { source: name, content: { problem: { code: 'xml_too_large', message } } }
    }
    return { source: name, content: decode(await readFile(path)) }
  } catch (error) {
    const { code = 'an unknown error' } = error as NodeJS.ErrnoException
    return code === 'ENOENT' ? undefined : unreadable(name, code)
  }
}

/** As .NET reads files: UTF-8, or UTF-16 where a byte-order mark says so. */
function decode(bytes: Uint8Array): NonNullable<StoredElement['content']> {
  const mark = Buffer.from(bytes.subarray(0, 2)).toString('hex')
  const encoding = mark === 'fffe' ? 'utf-16le' : mark === 'feff' ? 'utf-16be' : 'utf-8'
  try {
    return { text: new TextDecoder(encoding, { fatal: true }).decode(bytes) }
  } catch {
    const message = 'It is no text in UTF-8: it is damaged. Restore it from a backup.'
    return { problem: { code: 'text_malformed', message } }
  }
}

function unreadable(source: string, why: string): StoredElement {
  const message = `It cannot be read (${why}). ASP.NET Core may read nothing of the ring meanwhile. Mend or remove it.`
  return { source, content: { problem: { code: 'file_unreadable', message } } }
}

function unavailable(directory: string, what: string, error: unknown): KeyRingUnreadable {
  if (error instanceof KeyRingUnreadable) return error
  const { code = '', message } = error as NodeJS.ErrnoException
  const hint =
    {
      ENOENT: 'It is not there: mount or make it.',
      EACCES: 'This account has no permission for it.',
      ENOTDIR: 'It is no directory.',
      EROFS: 'It is read-only.',
      EPERM: 'Its file system has no hard links, or this account has no permission.',
      ENOSPC: 'Its disk is full.',
    }[code] ?? message
  return new KeyRingUnreadable(
    'ring_unavailable',
    `The key ring ${directory} cannot be ${what} (${code || 'error'}). ${hint}`,
    error,
  )
}
