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
/** Bits that tell the class of a tag. */
const CONTEXT = 0x80

export type Der = forge.asn1.Asn1

/**
 * Reads one value and all in it. Its depth is bounded by the library (256).
 * @throws ImportRefused `input_malformed` where there is no such value, `input_truncated` where it ends too early
 */
export function readDer(bytes: Uint8Array): Der {
  // The types know of no options; the library takes them, and would else guess at bit strings.
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

/** The same, or undefined for what is no ASN.1. */
export function tryDer(bytes: Uint8Array): Der | undefined {
  try {
    return readDer(bytes)
  } catch (error) {
    if (error instanceof ImportRefused) return undefined
    throw error
  }
}

/** Does a file begin like a sequence? Text never does. */
export function looksLikeDer(bytes: Uint8Array): boolean {
  return bytes[0] === 0x30
}

/** The values in a sequence, a set or an explicit tag. */
export function children(der: Der | undefined): readonly Der[] {
  return Array.isArray(der?.value) ? der.value : malformed('a sequence')
}

/** The only value in an explicit tag. */
export function inner(der: Der | undefined): Der {
  return children(der)[0] ?? malformed('a value')
}

/** Is it the context-specific tag of this number? */
function isTagged(der: Der | undefined, number: number): boolean {
  return der?.tagClass === CONTEXT && der.type === number
}

/** The one with a context-specific tag, where it is there. */
export function tagged(values: readonly Der[], number: number): Der | undefined {
  return values.find((value) => isTagged(value, number))
}

export function isSequence(der: Der | undefined): boolean {
  return der?.tagClass === 0 && der.type === 16
}

/** A non-negative integer without leading zeros. */
export function integer(der: Der | undefined): Buffer {
  const bytes = primitive(der, INTEGER, 'an integer')
  if (bytes.length === 0 || (bytes[0] ?? 0) > 127) return malformed('a positive integer')
  const start = bytes.findIndex((byte) => byte !== 0)
  return bytes.subarray(start === -1 ? bytes.length : start)
}

/** A small integer such as a version or a number of rounds. */
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
    // One of its numbers is larger than the library counts.
    return malformed('an object identifier that is known')
  }
}

export function isObjectId(der: Der | undefined): boolean {
  return der?.tagClass === 0 && der.type === OID
}

/** Octets, joined where BER has them in parts; of an implicit tag, too. */
export function octets(der: Der | undefined): Buffer {
  if (!der || !(isTagged(der, der.type) || der.type === OCTET_STRING)) {
    return malformed('an octet string')
  }
  return joined(der)
}

export function isOctets(der: Der | undefined): boolean {
  return der?.tagClass === 0 && der.type === OCTET_STRING
}

/** The bytes of a bit string of whole bytes; of an implicit tag, too. */
export function bits(der: Der | undefined): Buffer {
  if (!der || Array.isArray(der.value) || !(isTagged(der, der.type) || der.type === BIT_STRING)) {
    return malformed('a bit string')
  }
  const bytes = Buffer.from(der.value, 'latin1')
  return bytes[0] === 0 ? bytes.subarray(1) : malformed('a bit string of whole bytes')
}

/** A name in UTF-16, such as the friendlyName of PKCS#12. */
export function bmpText(der: Der | undefined): string {
  if (der?.type !== BMP_STRING || typeof der.value !== 'string') return malformed('a name')
  return der.value
}

/** The value as bytes again. */
export function toDer(der: Der): Buffer {
  return Buffer.from(forge.asn1.toDer(der).getBytes(), 'latin1')
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

/** The library takes bytes as text with a character for each. */
function binary(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
}

function malformed(expected: string): never {
  throw refusal('input_malformed', `The ASN.1 lacks ${expected} in its place: the file is damaged.`)
}
