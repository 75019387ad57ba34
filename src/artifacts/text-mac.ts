import type { KeyObject } from 'node:crypto'
import { createHmacSha256, isSameText } from '../hmac.ts'
import { createKnownTexts } from './known-texts.ts'

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
  const texts = createKnownTexts()
  return {
    // What is signed is not remembered, because most tokens are never looked up here.
    sign: (text, name) => macOf(text, name) + text,
    check: (signed, name) => {
      const known = texts.find(name, signed)
      if (known !== undefined) return known
      const text = signed.slice(MAC_LENGTH)
      if (!isSameText(signed.slice(0, MAC_LENGTH), macOf(text, name))) return undefined
      texts.add(name, signed, text)
      return text
    },
  }
}
