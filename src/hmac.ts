import { hash, type KeyObject, timingSafeEqual } from 'node:crypto'

/** Bytes of a block of SHA-256, and of its digest. */
const BLOCK = 64
const DIGEST = 32

/** Most bytes of UTF-8 for each unit of a JavaScript string. */
const UTF8 = 3

/** Initial bytes of the buffer, enough for nearly all texts. */
const TEXT = 4096

/** Computes HMAC-SHA-256 in base64url (43 characters) of a text, which is taken as UTF-8. */
export type Hmac = (text: string) => string

/**
 * HMAC-SHA-256 (RFC 2104) under one key, made of one-shot hashes, because every request with a
 * token or a cookie needs some. `createHmac` makes two objects that have to be collected, and takes
 * twice the time.
 */
export function createHmacSha256(key: KeyObject): Hmac {
  const secret = key.export()
  const block = Buffer.alloc(BLOCK)
  block.set(secret.length > BLOCK ? hash('sha256', secret, 'buffer') : secret)
  const innerPad = block.map((byte) => byte ^ 0x36)
  const outer = Buffer.alloc(BLOCK + DIGEST)
  outer.set(block.map((byte) => byte ^ 0x5c))
  let inner = Buffer.alloc(BLOCK + TEXT)
  inner.set(innerPad)

  return (text) => {
    if (text.length * UTF8 > inner.length - BLOCK) {
      inner = Buffer.alloc(BLOCK + text.length * UTF8)
      inner.set(innerPad)
    }
    const end = BLOCK + inner.write(text, BLOCK)
    // The hash as a latin1 string ('binary'), because a string costs less than a buffer.
    outer.write(hash('sha256', inner.subarray(0, end), 'binary'), BLOCK, 'latin1')
    return hash('sha256', outer, 'base64url')
  }
}

/** Compares two texts in a time that depends on their lengths only. */
export function isSameText(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)]
  return a.length === b.length && timingSafeEqual(a, b)
}
