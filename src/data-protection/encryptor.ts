import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  type KeyObject,
  timingSafeEqual,
} from 'node:crypto'

/**
 * Authenticated encryption of ASP.NET Core Data Protection. Each payload has its own keys, derived
 * from the secret and from a random modifier in the payload, by NIST SP 800-108 in counter mode
 * with HMAC-SHA-512.
 */

export type HashName = 'sha1' | 'sha256' | 'sha384' | 'sha512'
export type KeyBytes = 16 | 24 | 32

export type Algorithms =
  | { readonly mode: 'cbc'; readonly keyBytes: KeyBytes; readonly hash: HashName }
  | { readonly mode: 'gcm'; readonly keyBytes: KeyBytes }

/** Seals and opens for one key and one chain of purposes. */
export interface Sealer {
  /** Number of random bytes of a payload: the key modifier, then the IV or nonce. */
  readonly randomBytes: number
  /** Seals a payload. @param random {@link randomBytes} of random bytes, never the same twice */
  seal(plain: Uint8Array, random: Uint8Array): Buffer
  /**
   * Opens a payload; undefined if it was changed, or sealed for other purposes or by another key.
   */
  open(sealed: Uint8Array): Buffer | undefined
}

export interface Encryptor {
  /** Bytes that identify the algorithms in the derivation, as ASP.NET Core computes them. */
  readonly contextHeader: Buffer
  /**
   * Makes the sealer for a header and purposes.
   * @param aad header and purposes, see `payload.ts`
   */
  sealerFor(aad: Uint8Array): Sealer
}

const MODIFIER = 16
const BLOCK = 16
const NONCE = 12
const TAG = 16
const DIGEST_BYTES: Readonly<Record<HashName, number>> = {
  sha1: 20,
  sha256: 32,
  sha384: 48,
  sha512: 64,
}
/** Bytes of one round of the derivation. */
const ROUND = 64

const EMPTY = Buffer.alloc(0)

export function createEncryptor(secret: Uint8Array, algorithms: Algorithms): Encryptor {
  const key = createSecretKey(secret)
  const contextHeader = contextHeaderOf(algorithms)
  return {
    contextHeader,
    sealerFor: (aad) => {
      const bytes = algorithms.keyBytes + macBytes(algorithms)
      const derive = createDerivation(key, { label: aad, context: contextHeader, bytes })
      return algorithms.mode === 'gcm' ? gcm(derive, algorithms) : cbc(derive, algorithms)
    },
  }
}

function cbc(derive: Derive, { keyBytes, hash }: Algorithms & { mode: 'cbc' }): Sealer {
  const cipher = `aes-${keyBytes * 8}-cbc`
  const digest = DIGEST_BYTES[hash]
  const start = MODIFIER + BLOCK
  return {
    randomBytes: start,
    seal: (plain, random) => {
      const keys = derive(random.subarray(0, MODIFIER))
      const sealing = createCipheriv(cipher, keys.subarray(0, keyBytes), random.subarray(MODIFIER))
      const parts = [random, sealing.update(plain), sealing.final()]
      const mac = createHmac(hash, keys.subarray(keyBytes))
      mac.update(random.subarray(MODIFIER)).update(parts[1] ?? EMPTY)
      return Buffer.concat([...parts, mac.update(parts[2] ?? EMPTY).digest()])
    },
    open: (sealed) => {
      const end = sealed.length - digest
      if (end < start + BLOCK) return undefined
      const keys = derive(sealed.subarray(0, MODIFIER))
      const mac = createHmac(hash, keys.subarray(keyBytes))
      const expected = mac.update(sealed.subarray(MODIFIER, end)).digest()
      if (!timingSafeEqual(expected, sealed.subarray(end))) return undefined
      return attempt(() => {
        const iv = sealed.subarray(MODIFIER, start)
        const opening = createDecipheriv(cipher, keys.subarray(0, keyBytes), iv)
        return Buffer.concat([opening.update(sealed.subarray(start, end)), opening.final()])
      })
    },
  }
}

function gcm(derive: Derive, { keyBytes }: Algorithms): Sealer {
  const cipher = `aes-${keyBytes * 8}-gcm` as 'aes-256-gcm'
  const start = MODIFIER + NONCE
  return {
    randomBytes: start,
    seal: (plain, random) => {
      const key = derive(random.subarray(0, MODIFIER))
      const sealing = createCipheriv(cipher, key, random.subarray(MODIFIER))
      const content = sealing.update(plain)
      sealing.final()
      return Buffer.concat([random, content, sealing.getAuthTag()])
    },
    open: (sealed) => {
      const end = sealed.length - TAG
      if (end < start) return undefined
      const key = derive(sealed.subarray(0, MODIFIER))
      return attempt(() => {
        const opening = createDecipheriv(cipher, key, sealed.subarray(MODIFIER, start))
        opening.setAuthTag(sealed.subarray(end))
        const plain = opening.update(sealed.subarray(start, end))
        opening.final()
        return plain
      })
    },
  }
}

/** Calls a function; undefined if OpenSSL refuses, because a tag or a padding is wrong. */
function attempt(open: () => Buffer): Buffer | undefined {
  try {
    return open()
  } catch {
    return undefined
  }
}

/** Derives the keys of one payload from its modifier. */
type Derive = (modifier: Uint8Array) => Buffer

interface Derivation {
  readonly label: Uint8Array
  readonly context: Uint8Array
  /** Number of bytes to derive. */
  readonly bytes: number
}

/**
 * Prepares the derivation (SP 800-108, section 4.1): the input is laid out once, and each payload
 * writes its modifier into it.
 */
function createDerivation(key: KeyObject, { label, context, bytes }: Derivation): Derive {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes * 8)
  const input = Buffer.concat([
    Buffer.alloc(4),
    label,
    Buffer.alloc(1),
    context,
    Buffer.alloc(MODIFIER),
    length,
  ])
  const modifierAt = input.length - length.length - MODIFIER
  const rounds = Array.from({ length: Math.ceil(bytes / ROUND) }, (_, i) => i + 1)
  return (modifier) => {
    input.set(modifier, modifierAt)
    const blocks = rounds.map((round) => {
      input[3] = round
      return createHmac('sha512', key).update(input).digest()
    })
    const [only] = blocks
    return (blocks.length === 1 && only ? only : Buffer.concat(blocks)).subarray(0, bytes)
  }
}

function macBytes(algorithms: Algorithms): number {
  return algorithms.mode === 'gcm' ? 0 : DIGEST_BYTES[algorithms.hash]
}

/**
 * Computes the context header: sizes, and the output of the algorithms for empty input under keys
 * derived from empty input.
 */
function contextHeaderOf(algorithms: Algorithms): Buffer {
  const { keyBytes } = algorithms
  const keys = deriveFromNothing(keyBytes + macBytes(algorithms))
  const key = keys.subarray(0, keyBytes)
  if (algorithms.mode === 'gcm') {
    const sealing = createCipheriv(
      `aes-${keyBytes * 8}-gcm` as 'aes-256-gcm',
      key,
      Buffer.alloc(NONCE),
    )
    sealing.final()
    return Buffer.concat([sizes(1, [keyBytes, NONCE, BLOCK, TAG]), sealing.getAuthTag()])
  }
  const { hash } = algorithms
  const digest = DIGEST_BYTES[hash]
  const sealing = createCipheriv(`aes-${keyBytes * 8}-cbc`, key, Buffer.alloc(BLOCK))
  const mac = createHmac(hash, keys.subarray(keyBytes)).digest()
  return Buffer.concat([sizes(0, [keyBytes, BLOCK, digest, digest]), sealing.final(), mac])
}

function deriveFromNothing(bytes: number): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes * 8)
  const rounds = Array.from({ length: Math.ceil(bytes / ROUND) }, (_, i) =>
    createHmac('sha512', EMPTY)
      .update(Buffer.from([0, 0, 0, i + 1, 0]))
      .update(length)
      .digest(),
  )
  return Buffer.concat(rounds).subarray(0, bytes)
}

function sizes(kind: 0 | 1, values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(2 + 4 * values.length)
  bytes.writeUInt16BE(kind)
  values.forEach((value, i) => {
    bytes.writeUInt32BE(value, 2 + 4 * i)
  })
  return bytes
}
