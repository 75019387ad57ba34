import { createHash } from 'node:crypto'
import type { Stats } from 'node:fs'
import { open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { readBounded } from '../bounded-file.ts'
import { createFile } from '../whole-file.ts'
import { KeyRingUnreadable } from './errors.ts'
import { mayRevoke } from './ring-element.ts'
import { ELEMENT_BYTES_MAX, largestRead, tooLarge } from './ring-size.ts'
import type { NewElement, RingStore, StoredElement, StoredRing } from './ring-store.ts'

/**
 * A ring in a directory, as `PersistKeysToFileSystem` keeps it: one file per element. Every file
 * that ends in `.xml` is read, whatever its name.
 */

const BYTE_ORDER_MARK = '\ufeff'
const DECLARATION = '<?xml version="1.0" encoding="utf-8"?>\n'
/** Ending of a file with an element that is about to be added. ASP.NET Core does not read it. */
const CLAIM = '.claim'

export function openDirectoryStore(directory: string): RingStore {
  return {
    where: directory,
    read: async () => {
      const names = await listNames(directory)
      const files: Found[] = []
      for (const name of names) files.push({ name, status: await statusOf(join(directory, name)) })
      const most = largestRead(files.map(sizeOf))
      const elements: StoredElement[] = []
      for (const file of files) {
        const element = await readElement(directory, file, most)
        if (element) elements.push(element)
      }
      return { elements, version: versionOf(names) } satisfies StoredRing
    },
    append: (element, version) => append(directory, element, version),
    close: async () => {},
  }
}

/**
 * Adds a file without a lock. A node first claims the version of the ring that it read: it creates
 * a file that is named after the version and contains the element, by a link that fails if the name
 * is taken. If the ring still has that version, the node gives the element its name. If the node
 * dies in between, the next node that finds the claim completes it. A version that the ring has
 * left does not come back, because names are random.
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

/**
 * Completes the claim of another node. The claim is read before the ring is listed: if the ring has
 * changed in between, the claim was completed or given up.
 */
async function completeClaim(
  directory: string,
  { claim, version }: { readonly claim: string; readonly version: string },
): Promise<void> {
  const bytes = await readBounded(claim, ELEMENT_BYTES_MAX).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null
      throw error
    },
  )
  if (bytes === null) return
  const element = bytes && readClaim(bytes)
  if (element) {
    if (versionOf(await listNames(directory)) !== version) return
    await giveName(directory, element)
  }
  await rm(claim, { force: true })
}

/**
 * Reads a claim; undefined for a file that no node wrote, because nodes write claims whole. Such a
 * file is removed. The name is checked, because somebody who may write to the directory must not
 * have another file written.
 */
function readClaim(bytes: Uint8Array): Claim | undefined {
  try {
    // The type is checked below.
    const { name, indented } = JSON.parse(Buffer.from(bytes).toString('utf8')) as Partial<Claim>
    const isName = typeof name === 'string' && /^(key|revocation)-[\w-]{1,100}$/.test(name)
    return isName && typeof indented === 'string' ? { name, indented } : undefined
  } catch {
    return undefined
  }
}

/**
 * Writes an element under its name, so that readers see the whole file or none. A second node that
 * writes the same element changes nothing.
 */
async function giveName(directory: string, { name, indented }: Claim): Promise<void> {
  await createFile(join(directory, `${name}.xml`), BYTE_ORDER_MARK + DECLARATION + indented)
}

/**
 * Lists the names of elements.
 * @throws KeyRingUnreadable even if the directory is missing, because it may be a volume that is
 * not mounted
 */
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

interface Found {
  readonly name: string
  readonly status: Stats | NodeJS.ErrnoException
}

async function statusOf(path: string): Promise<Found['status']> {
  return stat(path).catch((error: NodeJS.ErrnoException) => error)
}

function sizeOf({ status }: Found): number {
  return status instanceof Error ? 0 : status.size
}

/**
 * Reads an element; undefined if the file has been removed meanwhile.
 * @param most bytes of the largest file that is read
 */
async function readElement(
  directory: string,
  { name, status }: Found,
  most: number,
): Promise<StoredElement | undefined> {
  const path = join(directory, name)
  try {
    if (status instanceof Error) throw status
    if (!status.isFile()) return unreadable(name, 'it is no file')
    const bytes = status.size <= most ? await readBounded(path, ELEMENT_BYTES_MAX) : undefined
    if (bytes) return { source: name, content: decode(bytes) }
    return tooLarge(name, status.size, mayRevoke(await beginningOf(path)))
  } catch (error) {
    const { code = 'an unknown error' } = error as NodeJS.ErrnoException
    return code === 'ENOENT' ? undefined : unreadable(name, code)
  }
}

async function beginningOf(path: string): Promise<string> {
  const file = await open(path)
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(ELEMENT_BYTES_MAX))
    return buffer.toString('latin1', 0, bytesRead)
  } finally {
    await file.close()
  }
}

/** Beginning of UTF-16 for .NET: a byte-order mark, or the beginning of a declaration. */
const UTF_16 = /^(?<little>fffe|3c003f00)|^(?:feff|003c003f)/

/**
 * Decodes a file as .NET does: UTF-8, or UTF-16. A file in neither may contain a revocation that
 * .NET reads nevertheless.
 */
function decode(bytes: Uint8Array): NonNullable<StoredElement['content']> {
  const mark = UTF_16.exec(Buffer.from(bytes.subarray(0, 4)).toString('hex'))
  const encoding = mark ? (mark.groups?.little ? 'utf-16le' : 'utf-16be') : 'utf-8'
  try {
    return { text: new TextDecoder(encoding, { fatal: true }).decode(bytes) }
  } catch {
    const message = 'It is no text in UTF-8: it is damaged. Restore it from a backup.'
    const isRevoking = mayRevoke(Buffer.from(bytes).toString('latin1'))
    return { problem: { code: 'text_malformed', message }, mayRevoke: isRevoking }
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
