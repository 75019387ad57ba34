import type { Ticks } from '../values/ticks.ts'
import type { KeyFacts } from './default-key.ts'
import type { Certificate } from './encrypted-xml.ts'
import type { Encryptor } from './encryptor.ts'
import { KeyRingUnreadable } from './errors.ts'
import { KeyProblem, mayBeOpenedByOthers, mayHideKey, type RingProblem } from './problem.ts'
import {
  type KeyElement,
  mayRevoke,
  type RevocationNotes,
  type RingElement,
  readRingElement,
} from './ring-element.ts'
import type { StoredElement } from './ring-store.ts'
import { XmlRefused } from './xml.ts'

/** Present state of a ring, assembled from the elements of its store. */

export interface RingKey extends KeyFacts {
  readonly protectedBy: string | undefined
  /** Returns the encryptor, or the problem that prevents it. */
  readonly encryptor: () => Encryptor | RingProblem
}

/** A revocation, for people. */
export interface RingRevocation extends RevocationNotes {
  /** Id of a revoked key. Exactly one of `id` and `before` is present. */
  readonly id?: string
  readonly before?: Ticks
}

export interface Ring {
  /** Keys in the order of the store. */
  readonly keys: readonly RingKey[]
  readonly revocations: readonly RingRevocation[]
  /** Instant; keys created before it are revoked. */
  readonly revokedBefore: Ticks | undefined
  /**
   * Lists the problems. Opens each secret once, so that the list includes secrets that cannot be
   * opened.
   */
  readonly problems: () => readonly RingProblem[]
}

/** Elements by their text. A ring is read again and again, but its elements never change. */
type ReadElements = Map<string, RingElement | KeyProblem | XmlRefused>

/**
 * Makes a function that assembles the same ring again and again but opens each secret once, because
 * opening a thousand secrets with a certificate takes seconds.
 * @returns a function that throws like {@link assembleRing}
 */
export function createAssembler(
  certificates: readonly Certificate[],
): (stored: readonly StoredElement[]) => Ring {
  let known: ReadElements = new Map()
  return (stored) => {
    const kept: ReadElements = new Map()
    for (const { content } of stored) {
      const text = content && 'text' in content ? content.text : undefined
      const read = text === undefined ? undefined : known.get(text)
      if (text !== undefined && read) kept.set(text, read)
    }
    const ring = assembleRing(stored, certificates, kept)
    known = kept
    return ring
  }
}

/**
 * Assembles a ring. A bad element is a problem that affects no other key. Only an unreadable
 * revocation stops everything, because it may concern any key.
 * @throws KeyRingUnreadable `revocation_unreadable`
 */
export function assembleRing(
  stored: readonly StoredElement[],
  certificates: readonly Certificate[],
  known: ReadElements = new Map(),
): Ring {
  const problems: RingProblem[] = []
  const found = new Map<
    string,
    { readonly element: KeyElement; readonly source: string; text: string }
  >()
  const differing = new Set<string>()
  const revoked = new Set<string>()
  const revocations: RingRevocation[] = []
  let revokedBefore: Ticks | undefined

  for (const { source, content } of stored) {
    if (content === undefined) continue
    if ('problem' in content) {
      if (/^revocation/i.test(source) || content.mayRevoke)
        throw unreadable(source, 'the file cannot be read')
      problems.push({ ...content.problem, source })
      continue
    }
    if (content.hasStrayMark) problems.push(strayMark(source))
    const element = readOnce(content.text, known)
    if (element instanceof XmlRefused) {
      if (/^revocation/i.test(source) || mayRevoke(content.text))
        throw unreadable(source, element.message)
      problems.push({ code: element.fault, source, message: refusedMessage(element) })
    } else if (element instanceof KeyProblem) {
      problems.push({ code: element.code, source, message: element.message })
    } else if (element.kind === 'unreadable-revocation') {
      throw unreadable(source, element.why)
    } else if (element.kind === 'unknown') {
      problems.push(unknownElement(source, element.name))
    } else if (element.kind === 'revocation') {
      revoked.add(element.id)
      revocations.push({ id: element.id, at: element.at, reason: element.reason })
    } else if (element.kind === 'revocation-of-all') {
      revocations.push({ before: element.before, at: element.at, reason: element.reason })
      if (revokedBefore === undefined || element.before > revokedBefore)
        revokedBefore = element.before
    } else {
      const first = found.get(element.id)
      if (first) {
        problems.push(duplicate({ id: element.id, source, first: first.source }))
        if (first.text.trim() !== content.text.trim()) differing.add(element.id)
      } else {
        found.set(element.id, { element, source, text: content.text })
        if (element.unzoned.length > 0) problems.push(unzoned(element, source))
      }
    }
  }

  const keys = [...found.values()].map(({ element, source }): RingKey => {
    const isRevoked =
      revoked.has(element.id) || (revokedBefore !== undefined && element.createdAt < revokedBefore)
    const open = once(() => {
      if (differing.has(element.id)) return ambiguous(element.id, source)
      return openKey(element, { source, certificates })
    })
    const { id, createdAt, activatesAt, expiresAt, protectedBy } = element
    const isUsable = () => !('code' in open())
    const dates = { createdAt, activatesAt, expiresAt }
    return { id, ...dates, revoked: isRevoked, protectedBy, isUsable, encryptor: open }
  })
  return {
    keys,
    revocations,
    revokedBefore,
    problems: once(() => [
      ...problems,
      ...keys.map((key) => key.encryptor()).filter((opened) => 'code' in opened),
    ]),
  }
}

/** Facts about the keys from the view of the applications, as far as this process knows. */
export function factsOf({ keys }: Ring): KeyFacts[] {
  return keys.map(({ encryptor, protectedBy: _, ...key }) => {
    const opened = encryptor()
    const isUsable = !('code' in opened) || mayBeOpenedByOthers(opened)
    return { ...key, isUsable: () => isUsable }
  })
}

/** False if an element cannot be read, because that may be the key that seems to be missing. */
export function isWhole(ring: Ring): boolean {
  return !ring.problems().some(mayHideKey)
}

function readOnce(text: string, known: ReadElements): RingElement | KeyProblem | XmlRefused {
  const before = known.get(text)
  if (before) return before
  const read = attemptToRead(text)
  known.set(text, read)
  return read
}

function attemptToRead(text: string): RingElement | KeyProblem | XmlRefused {
  try {
    return readRingElement(text)
  } catch (error) {
    if (error instanceof XmlRefused || error instanceof KeyProblem) return error
    throw error
  }
}

function openKey(
  element: KeyElement,
  {
    source,
    certificates,
  }: { readonly source: string; readonly certificates: readonly Certificate[] },
): Encryptor | RingProblem {
  try {
    return element.open(certificates)
  } catch (error) {
    if (!(error instanceof KeyProblem)) throw error
    return {
      code: error.code,
      source,
      keyId: element.id,
      message: `Key ${element.id}: ${error.message}`,
    }
  }
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined
  return () => {
    made ??= { value: make() }
    return made.value
  }
}

function unreadable(source: string, why: string): KeyRingUnreadable {
  return new KeyRingUnreadable(
    'revocation_unreadable',
    `${source} is or may be a revocation and cannot be read: ${why}. Nobody can tell which keys it revokes, so ` +
      'no key of the ring is used. Restore it from a backup; where the revocation is not wanted, remove it.',
  )
}

function refusedMessage({ fault, message }: XmlRefused): string {
  const hint = {
    xml_malformed: 'It may be half-written: look again later, or restore it from a backup.',
    xml_doctype: 'Remove the document type, or find out who put it there.',
    xml_too_large: 'It is no element of a ring: remove it.',
  }[fault]
  return `It is not read: ${message}. ${hint} ASP.NET Core may read nothing of the ring meanwhile.`
}

function strayMark(source: string): RingProblem {
  const message =
    'It begins with a byte-order mark, at which ASP.NET Core stops reading the ring. Remove the mark.'
  return { code: 'byte_order_mark', source, message }
}

function unknownElement(source: string, name: string): RingProblem {
  const shown = name.replace(/[^\w.-]/g, '?').slice(0, 60)
  return {
    code: 'element_unknown',
    source,
    message: `<${shown}> is neither a key nor a revocation. It is passed over.`,
  }
}

function unzoned({ id, unzoned: names }: KeyElement, source: string): RingProblem {
  const message =
    `Key ${id}: ${names.join(', ')} without a time zone: it is taken for the time of this machine, ` +
    'and other machines may take it otherwise. End it with Z.'
  return { code: 'key_date_without_zone', source, keyId: id, message }
}

function duplicate({
  id,
  source,
  first,
}: {
  id: string
  source: string
  first: string
}): RingProblem {
  const message =
    `Key ${id} stands in ${first} too. ASP.NET Core reads nothing of such a ring. Remove the one that is wrong; ` +
    'where they differ, Keyturn uses neither.'
  return { code: 'key_duplicate', source, keyId: id, message }
}

function ambiguous(id: string, source: string): RingProblem {
  const message = `Key ${id} stands twice with different content, and is not used.`
  return { code: 'key_duplicate', source, keyId: id, message }
}
