import { readXsdDate, type Ticks } from '../values/ticks.ts'
import { innerDescriptor, readAlgorithms } from './descriptor.ts'
import type { Certificate } from './encrypted-xml.ts'
import { createEncryptor, type Encryptor } from './encryptor.ts'
import { readGuid } from './guid.ts'
import { KeyProblem } from './problem.ts'
import { decryptDescriptor, protectionOf, readMasterKey } from './secret.ts'
import { attributeOf, childOf, parseXml, textOf, type XmlElement } from './xml.ts'

/** An element of a ring: a key, or the revocation of one key or of all keys before an instant. */

export interface KeyElement {
  readonly kind: 'key'
  readonly id: string
  readonly createdAt: Ticks
  readonly activatesAt: Ticks
  readonly expiresAt: Ticks
  /** Names of dates without a time zone, which were read in that of this machine. */
  readonly unzoned: readonly string[]
  /**
   * SHA-1 thumbprint of the certificate, or name of the foreign decryptor; undefined if the secret
   * is in clear.
   */
  readonly protectedBy: string | undefined
  /** Opens the key, once: the same certificates are given each time. @throws KeyProblem */
  readonly open: (certificates: readonly Certificate[]) => Encryptor
}

export type RingElement =
  | KeyElement
  | ({ readonly kind: 'revocation'; readonly id: string } & RevocationNotes)
  /** Revocation of all keys created before an instant. */
  | ({ readonly kind: 'revocation-of-all'; readonly before: Ticks } & RevocationNotes)
  | { readonly kind: 'unknown'; readonly name: string }
  | { readonly kind: 'unreadable-revocation'; readonly why: string }

/** Notes of people in a revocation. Nothing depends on them. */
export interface RevocationNotes {
  readonly at: Ticks | undefined
  readonly reason: string
}

/**
 * Reads an element.
 * @throws XmlRefused, or KeyProblem if the element is a key that cannot be in the ring
 */
export function readRingElement(text: string): RingElement {
  const root = parseXml(text)
  if (root.namespace === '' && root.name === 'key') return readKey(root)
  if (root.namespace === '' && root.name === 'revocation') return readRevocation(root)
  return { kind: 'unknown', name: root.name }
}

/**
 * True if a text that cannot be read may be a revocation. If it were ignored, the revoked keys
 * would be trusted again, so a ring with such a text is not used.
 */
export function mayRevoke(text: string): boolean {
  // Text in UTF-16 or UTF-32 that was decoded as another encoding has NULs between its letters.
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

/** Reads a revocation. The date does not matter for one key, so it is not checked (as in .NET). */
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
