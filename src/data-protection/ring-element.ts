import { readXsdDate, type Ticks } from '../values/ticks.ts'
import { innerDescriptor, readAlgorithms } from './descriptor.ts'
import type { Certificate } from './encrypted-xml.ts'
import { createEncryptor, type Encryptor } from './encryptor.ts'
import { readGuid } from './guid.ts'
import { KeyProblem } from './problem.ts'
import { decryptDescriptor, protectionOf, readMasterKey } from './secret.ts'
import { attributeOf, childOf, parseXml, textOf, type XmlElement } from './xml.ts'

/** One element of a ring: a key, or the revocation of one or of all of before. */

export interface KeyElement {
  readonly kind: 'key'
  readonly id: string
  readonly createdAt: Ticks
  readonly activatesAt: Ticks
  readonly expiresAt: Ticks
  /** Dates without a time zone, which were taken for those of this machine. */
  readonly unzoned: readonly string[]
  /** The certificate's SHA-1 thumbprint or the foreign decryptor's name; undefined where its secret is in clear. */
  readonly protectedBy: string | undefined
  /** Decrypts and understands the key, once: the same certificates are given each time. @throws KeyProblem */
  readonly open: (certificates: readonly Certificate[]) => Encryptor
}

export type RingElement =
  | KeyElement
  | ({ readonly kind: 'revocation'; readonly id: string } & RevocationNotes)
  /** Keys created before are revoked. */
  | ({ readonly kind: 'revocation-of-all'; readonly before: Ticks } & RevocationNotes)
  | { readonly kind: 'unknown'; readonly name: string }
  | { readonly kind: 'unreadable-revocation'; readonly why: string }

/** What people wrote beside a revocation; nothing depends on it. */
export interface RevocationNotes {
  readonly at: Ticks | undefined
  readonly reason: string
}

/** @throws XmlRefused, or KeyProblem where the element is a key that cannot stand in the ring */
export function readRingElement(text: string): RingElement {
  const root = parseXml(text)
  if (root.namespace === '' && root.name === 'key') return readKey(root)
  if (root.namespace === '' && root.name === 'revocation') return readRevocation(root)
  return { kind: 'unknown', name: root.name }
}

/**
 * Whether text that cannot be read may be a revocation. Its keys would come back to life if it were passed
 * over, so where one may stand, the ring is not used.
 */
export function mayRevoke(text: string): boolean {
  // UTF-16 and UTF-32 that were taken for something else have NULs between their letters.
  const bare = text.replaceAll('\0', '')
  if (/<([\w.-]+:)?revocation[\s/>]/.test(bare)) return true
  const lastTag = bare.slice(bare.lastIndexOf('<')).trimEnd()
  return lastTag.length > 1 && '<revocation'.startsWith(lastTag)
}

function readKey(element: XmlElement): KeyElement {
  const idText = attributeOf(element, 'id')
  const id = idText === undefined ? undefined : readGuid(idText)
  if (!id) {
    const what = idText === undefined ? 'It has no id' : 'Its id is no GUID'
    throw new KeyProblem('key_id_invalid', `${what}, so it can be no key of the ring.`)
  }
  const dates = ['creationDate', 'activationDate', 'expirationDate'].map((name) => {
    const child = childOf(element, name)
    if (!child) throw new KeyProblem('key_date_invalid', `Key ${id} has no ${name}.`)
    const read = readXsdDate(textOf(child))
    if ('problem' in read) {
      throw new KeyProblem(
        'key_date_invalid',
        `The ${name} of key ${id} is no date: ${read.problem}.`,
      )
    }
    return { name, ...read }
  })
  const [createdAt = 0n, activatesAt = 0n, expiresAt = 0n] = dates.map(({ ticks }) => ticks)
  const unzoned = dates.filter(({ isZoned }) => !isZoned).map(({ name }) => name)
  let opened: Encryptor | undefined
  const open = (certificates: readonly Certificate[]) => {
    if (opened) return opened
    const { type, element: sealed } = innerDescriptor(element)
    const descriptor = decryptDescriptor(sealed, certificates)
    const algorithms = readAlgorithms(type, descriptor)
    opened = createEncryptor(readMasterKey(descriptor), algorithms)
    return opened
  }
  const protectedBy = protectionOf(element)
  return { kind: 'key', id, createdAt, activatesAt, expiresAt, unzoned, protectedBy, open }
}

/** Of one key the date does not matter, so it is not read (as in .NET). */
function readRevocation(element: XmlElement): RingElement {
  const key = childOf(element, 'key')
  const target = key && attributeOf(key, 'id')
  if (target === undefined) return { kind: 'unreadable-revocation', why: 'it names no key' }
  if (target === '*') {
    const date = childOf(element, 'revocationDate')
    const read = readXsdDate(date ? textOf(date) : '')
    if ('problem' in read) {
      return { kind: 'unreadable-revocation', why: `its date is no date: ${read.problem}` }
    }
    return { kind: 'revocation-of-all', before: read.ticks, ...notesOf(element) }
  }
  const id = readGuid(target)
  if (!id) return { kind: 'unreadable-revocation', why: 'the id in it is no GUID' }
  return { kind: 'revocation', id, ...notesOf(element) }
}

function notesOf(element: XmlElement): RevocationNotes {
  const [date, reason] = ['revocationDate', 'reason'].map((name) => childOf(element, name))
  const read = readXsdDate(date ? textOf(date) : '')
  return {
    at: 'problem' in read ? undefined : read.ticks,
    reason: reason ? textOf(reason).trim() : '',
  }
}
