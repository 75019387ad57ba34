import forge from 'node-forge'
import { ImportRefused } from '../errors.ts'
import { refusal } from './refusal.ts'

/** ASN.1 in DER and BER (ITU-T X.690), as far as keys, certificates and keystores need it. */

/** Universal tags. */
const INTEGER = 2
const BIT_STRING = 3
const OCTET_STRING = 4
const OID = 6
const BMP_STRING = 30
/** Class bits of a context-specific tag. */
const CONTEXT = 0x80

/** Most values in one ASN.1: each becomes an object, and the largest keystores have some 20,000. */
const VALUES_MAX = 100_000
/** Bits of a tag and of the first byte of a length. */
const CONSTRUCTED = 0x20
const LONG_LENGTH = 0x80

export type Der = forge.asn1.Asn1

/**
 * Reads one value with all that it contains. The library bounds its depth (256).
 * @throws ImportRefused `input_malformed` if there is no such value, `input_truncated` if it ends
 * too early, `input_too_large` if it has more values than any keystore
 */
export function readDer(bytes: Uint8Array): Der {
  if (hasMoreValues(bytes, VALUES_MAX)) {
    throw refusal('input_too_large', `The ASN.1 has more than ${VALUES_MAX} values.`)
  }
  // The types lack the options of the library, which would otherwise guess at bit strings.
  const options = {
    strict: true,
    parseAllBytes: true,
    decodeBitStrings: false,
  } as unknown as boolean
  try {
    return forge.asn1.fromDer(binary(bytes), options)
  } catch (error) {
    if (/Too few bytes/.test(String(error))) {
      throw refusal('input_truncated', 'The ASN.1 ends too early: the file is half-written.')
    }
    throw refusal('input_malformed', 'The ASN.1 cannot be read: the file is damaged, or no key.')
  }
}

/** Reads a value like {@link readDer}; undefined if the bytes are no ASN.1. */
export function tryDer(bytes: Uint8Array): Der | undefined {
  try {
    return readDer(bytes)
  } catch (error) {
    if (error instanceof ImportRefused) return undefined
    throw error
  }
}

/** True if the bytes begin like a sequence, as text never does. */
export function looksLikeDer(bytes: Uint8Array): boolean {
  return bytes[0] === 0x30
}

/** Values in a sequence, a set or an explicit tag. */
export function children(der: Der | undefined): readonly Der[] {
  return Array.isArray(der?.value) ? der.value : malformed('a sequence')
}

/** First value in an explicit tag, which has only one. */
export function inner(der: Der | undefined): Der {
  return children(der)[0] ?? malformed('a value')
}

/** True if the value has the context-specific tag of this number. */
function isTagged(der: Der | undefined, number: number): boolean {
  return der?.tagClass === CONTEXT && der.type === number
}

/** The value with a context-specific tag; undefined if there is none. */
export function tagged(values: readonly Der[], number: number): Der | undefined {
  return values.find((value) => isTagged(value, number))
}

export function isSequence(der: Der | undefined): boolean {
  return der?.tagClass === 0 && der.type === 16
}

/** Reads a non-negative integer, without its leading zeros. */
export function integer(der: Der | undefined): Buffer {
  const bytes = primitive(der, INTEGER, 'an integer')
  if (bytes.length === 0 || (bytes[0] ?? 0) > 127) return malformed('a positive integer')
  const start = bytes.findIndex((byte) => byte !== 0)
  return bytes.subarray(start === -1 ? bytes.length : start)
}

/** Reads a small integer such as a version or a number of rounds. */
export function smallInteger(der: Der | undefined): number {
  const bytes = integer(der)
  if (bytes.length > 4) return malformed('a small integer')
  return bytes.length === 0 ? 0 : bytes.readUIntBE(0, bytes.length)
}

export function isInteger(der: Der | undefined): boolean {
  return der?.tagClass === 0 && der.type === INTEGER
}

export function objectId(der: Der | undefined): string {
  const bytes = primitive(der, OID, 'an object identifier')
  if (bytes.length === 0) return malformed('an object identifier')
  try {
    return forge.asn1.derToOid(binary(bytes))
  } catch {
    // The library cannot count to one of the identifier's numbers.
    return malformed('an object identifier that is known')
  }
}

export function isObjectId(der: Der | undefined): boolean {
  return der?.tagClass === 0 && der.type === OID
}

/**
 * Reads an octet string, also under an implicit tag; BER may have it in parts, which are joined.
 */
export function octets(der: Der | undefined): Buffer {
  if (!der || !(isTagged(der, der.type) || der.type === OCTET_STRING)) {
    return malformed('an octet string')
  }
  return joined(der)
}

export function isOctets(der: Der | undefined): boolean {
  return der?.tagClass === 0 && der.type === OCTET_STRING
}

/** Reads a bit string of whole bytes, also under an implicit tag. */
export function bits(der: Der | undefined): Buffer {
  if (!der || Array.isArray(der.value) || !(isTagged(der, der.type) || der.type === BIT_STRING)) {
    return malformed('a bit string')
  }
  const bytes = Buffer.from(der.value, 'latin1')
  return bytes[0] === 0 ? bytes.subarray(1) : malformed('a bit string of whole bytes')
}

/** Reads a name in UTF-16, such as the friendlyName of PKCS#12. */
export function bmpText(der: Der | undefined): string {
  if (der?.type !== BMP_STRING || typeof der.value !== 'string') return malformed('a name')
  return der.value
}

/** Writes a value as bytes again. */
export function toDer(der: Der): Buffer {
  return Buffer.from(forge.asn1.toDer(der).getBytes(), 'latin1')
}

/**
 * Counts values before they become objects. Each begins where the one before ends, or, inside of
 * it, behind its tag and length.
 */
function hasMoreValues(bytes: Uint8Array, max: number): boolean {
  let count = 0
  for (let at = 0; at < bytes.length; count++) {
    if (count === max) return true
    const tag = bytes[at] ?? 0
    const first = bytes[at + 1] ?? 0
    const more = first < LONG_LENGTH ? 0 : first - LONG_LENGTH
    let length = more === 0 ? first % LONG_LENGTH : 0
    for (const byte of bytes.subarray(at + 2, at + 2 + more)) length = length * 256 + byte
    at += 2 + more + (tag & CONSTRUCTED ? 0 : length)
  }
  return false
}

function joined(der: Der): Buffer {
  if (!Array.isArray(der.value)) return Buffer.from(der.value, 'latin1')
  return Buffer.concat(der.value.map(joined))
}

function primitive(der: Der | undefined, type: number, what: string): Buffer {
  if (der?.tagClass !== 0 || der.type !== type || typeof der.value !== 'string') {
    return malformed(what)
  }
  return Buffer.from(der.value, 'latin1')
}

/** Bytes as the library takes them: text with one character for each byte. */
function binary(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
}

function malformed(expected: string): never {
  throw refusal('input_malformed', `The ASN.1 lacks ${expected} in its place: the file is damaged.`)
}
