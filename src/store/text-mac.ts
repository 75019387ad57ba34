import { hash, type KeyObject, timingSafeEqual } from 'node:crypto'

/** Text with a MAC before it, which nobody can make, change or move who has no key. */
export interface TextMac {
  /** @param name where the text is kept: under another name it does not check */
  sign(text: string, name: string): string
  /** @returns the text; undefined where `signed` was not made under this key for this name */
  check(signed: string, name: string): string | undefined
}

/** Bytes of a block of SHA-256. */
const BLOCK = 64
/** Of base64url. */
const MAC_LENGTH = 43

/**
 * HMAC-SHA-256 (RFC 2104) by one-shot hashes: what every request with a token pays. `createHmac` makes an
 * object that has to be collected, and a cipher more of them, which cost a request more than the hashing.
 * The key is the hexadecimal text of the one that is given, as that fills a block.
 */
export function createTextMac(key: KeyObject): TextMac {
  const block = Buffer.from(key.export().toString('hex'), 'latin1')
  if (block.length !== BLOCK) throw new TypeError('the key of a MAC has 256 bits')
  // ASCII, and so is every byte of it after this: it stands in a text as it is.
  const inner = Buffer.from(block.map((byte) => byte ^ 0x36)).toString('latin1')
  const outer = Buffer.concat([Buffer.from(block.map((byte) => byte ^ 0x5c)), Buffer.alloc(32)])
  const macOf = (text: string, name: string) => {
    outer.set(hash('sha256', `${inner}${name.length} ${name} ${text}`, 'buffer'), BLOCK)
    return hash('sha256', outer, 'base64url')
  }
  return {
    sign: (text, name) => macOf(text, name) + text,
    check: (signed, name) => {
      const text = signed.slice(MAC_LENGTH)
      const given = Buffer.from(signed.slice(0, MAC_LENGTH))
      const expected = Buffer.from(macOf(text, name))
      return given.length === expected.length && timingSafeEqual(given, expected) ? text : undefined
    },
  }
}
