import { randomInt, randomUUID } from 'node:crypto'

/** Ids of keys: GUIDs, as text in the form of `18ae0118-bd7f-4478-8909-a88ceadabdf1`. */

export const GUID_BYTES = 16

/**
 * Positions in the text of the bytes of a GUID in .NET, whose first three groups are little-endian.
 */
const ORDER = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15]

const FORMS = [
  /^([\da-f]{8})-([\da-f]{4})-([\da-f]{4})-([\da-f]{4})-([\da-f]{12})$/,
  /^([\da-f]{8})([\da-f]{4})([\da-f]{4})([\da-f]{4})([\da-f]{12})$/,
]

/**
 * Reads a GUID in the forms of .NET: with dashes or without, in braces or parentheses. Undefined
 * for other text.
 */
export function readGuid(text: string): string | undefined {
  const plain = text.trim().toLowerCase()
  const inner = /^\{(.*)\}$|^\((.*)\)$/s.exec(plain)
  const bare = inner ? (inner[1] ?? inner[2] ?? '') : plain
  for (const form of inner ? FORMS.slice(0, 1) : FORMS) {
    const match = form.exec(bare)
    if (match) return match.slice(1).join('-')
  }
  return undefined
}

/**
 * Makes a random id (RFC 9562, version 4).
 * @param below id that must be greater than the new one, if given
 */
export function newGuid(below?: string): string {
  const id: string = randomUUID()
  if (below === undefined || id < below) return id
  const at = below.search(/[1-9a-f]/)
  const digit = randomInt(Number.parseInt(below.charAt(at), 16))
  return below.slice(0, at) + digit.toString(16) + id.slice(at + 1)
}

/** Bytes of a GUID, in the order of .NET's `Guid.ToByteArray`. */
export function guidBytes(id: string): Buffer {
  const bytes = Buffer.from(id.replaceAll('-', ''), 'hex')
  return Buffer.from(ORDER.map((from) => bytes[from] ?? 0))
}

/** Reads a GUID from its bytes. @param bytes 16 bytes, in the order of .NET */
export function guidOfBytes(bytes: Uint8Array): string {
  const hex = Buffer.from(ORDER.map((from) => bytes[from] ?? 0)).toString('hex')
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join('-')
}
