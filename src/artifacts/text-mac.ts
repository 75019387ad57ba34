import type { KeyObject } from 'node:crypto'
import { createHmacSha256, isSameText } from '../hmac.ts'

/** Text with a MAC before it, which nobody can make, change or move who has no key. */
export interface TextMac {
  /** @param name where the text is kept: under another name it does not check */
  sign(text: string, name: string): string
  /** @returns the text; undefined where `signed` was not made under this key for this name */
  check(signed: string, name: string): string | undefined
}

/** Of base64url. */
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
