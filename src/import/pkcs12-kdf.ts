import { hash } from 'node:crypto'

/** Purposes of derived bytes (RFC 7292, appendix B.3). */
export const PURPOSE = { key: 1, iv: 2, mac: 3 } as const

/** Bytes of a block of each hash function. */
const BLOCKS: Readonly<Record<string, number>> = {
  sha1: 64,
  sha224: 64,
  sha256: 64,
  sha384: 128,
  sha512: 128,
}

interface Derivation {
  /** From {@link bmpPassword}. */
  readonly password: Uint8Array
  readonly salt: Uint8Array
  readonly iterations: number
  /** Hash function, as node:crypto names it. */
  readonly digest: string
  readonly purpose: 1 | 2 | 3
  readonly length: number
}

/**
 * Encodes a password for this derivation: UTF-16, big-endian, with two zero bytes at the end. An
 * absent password has no bytes, unlike an empty one.
 */
export function bmpPassword(password: string | undefined): Buffer {
  if (password === undefined) return Buffer.alloc(0)
  return Buffer.from(`${password}\0`, 'utf16le').swap16()
}

/** Derives a key as PKCS#12 does (RFC 7292, appendix B.2), which node:crypto lacks. */
export function pkcs12Derive(options: Derivation): Buffer {
  const { digest, length, iterations } = options
  const block = BLOCKS[digest] ?? 64
  const diversifier = Buffer.alloc(block, options.purpose)
  let input: Buffer = Buffer.concat([filled(options.salt, block), filled(options.password, block)])
  const parts: Uint8Array[] = []
  let have = 0
  while (have < length) {
    let part: Uint8Array = hash(digest, Buffer.concat([diversifier, input]), 'buffer')
    for (let round = 1; round < iterations; round++) part = hash(digest, part, 'buffer')
    parts.push(part)
    have += part.length
    if (have < length) input = advanced(input, filled(part, block).subarray(0, block), block)
  }
  return Buffer.concat(parts).subarray(0, length)
}

/** Repeats bytes up to a whole number of blocks. */
function filled(bytes: Uint8Array, block: number): Buffer {
  const length = Math.ceil(bytes.length / block) * block
  const target = Buffer.alloc(length)
  for (let at = 0; at < length; at++) target[at] = bytes[at % bytes.length] ?? 0
  return target
}

/** Adds another block and 1 to each block, modulo its size. */
function advanced(input: Buffer, addend: Buffer, block: number): Buffer {
  const next = Buffer.from(input)
  for (let start = 0; start < next.length; start += block) {
    let carry = 1
    for (let at = block - 1; at >= 0; at--) {
      carry += (next[start + at] ?? 0) + (addend[at] ?? 0)
      next[start + at] = carry & 0xff
      carry >>= 8
    }
  }
  return next
}
