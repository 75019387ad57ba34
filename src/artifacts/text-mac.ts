import type { KeyObject } from 'node:crypto'
import { createHmacSha256, isSameText } from '../hmac.ts'

/** Puts a MAC before a text, so that without the key the text cannot be made, changed or moved. */
export interface TextMac {
  /** @param name place where the text is kept: under another name the check fails */
  sign(text: string, name: string): string
  /** @returns the text; undefined if `signed` was not made under this key for this name */
  check(signed: string, name: string): string | undefined
}

/** Characters of the MAC in base64url. */
const MAC_LENGTH = 43

export function createTextMac(key: KeyObject): TextMac {
  const hmac = createHmacSha256(key)
  const macOf = (text: string, name: string) => hmac(`${name.length} ${name} ${text}`)
  return {
    sign: (text, name) => macOf(text, name) + text,
    check: (signed, name) => {
      const text = signed.slice(MAC_LENGTH)
      return isSameText(signed.slice(0, MAC_LENGTH), macOf(text, name)) ? text : undefined
    },
  }
}
