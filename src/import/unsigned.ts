import { refusal } from './refusal.ts'

/** Non-negative integers of keys, in the spellings of all exports. */

/** Most bytes of a number; RSA of 16384 bits has 2048. */
const BYTES_MAX = 4096

/**
 * Bytes of a member of a JWK. RFC 7515, section 2, allows only one spelling, but old programs write
 * plain base64, padding and leading zeros. All are read, because the number is written anew.
 * @throws ImportRefused `key_malformed`, `key_too_large`
 */
export function memberBytes(value: unknown, name: string): Buffer {
  if (typeof value !== 'string' || !/^[A-Za-z0-9_+/-]+={0,2}$/.test(value)) {
    throw refusal('key_malformed', `Its member ${name} is no base64url.`)
  }
  if (value.length > (BYTES_MAX * 4) / 3) {
    throw refusal('key_too_large', `Its member ${name} is longer than any key that is read.`)
  }
  return Buffer.from(value, 'base64url')
}

export function toBigint(bytes: Uint8Array): bigint {
  return bytes.length === 0 ? 0n : BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
}

/** Bytes of a number, big-endian without leading zeros (RFC 7518, section 2, Base64urlUInt). */
export function fromBigint(number: bigint): Buffer {
  const hex = number.toString(16)
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
}

/**
 * Pads a number to the length that its curve prescribes (RFC 7518, section 6.2.1.2).
 * @returns undefined if the number is larger
 */
export function padded(bytes: Buffer, length: number): Buffer | undefined {
  const start = bytes.findIndex((byte) => byte !== 0)
  const minimal = start === -1 ? Buffer.alloc(0) : bytes.subarray(start)
  if (minimal.length > length) return undefined
  return Buffer.concat([Buffer.alloc(length - minimal.length), minimal])
}
