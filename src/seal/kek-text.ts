import { calculateJwkThumbprint } from 'jose'
import { z } from 'zod'
import { KekEmpty, KekUnreadable } from '../errors.ts'
import type { Kek } from '../ring/seal.ts'

/**
 * Key-encryption keys (KEKs) as text. A KEK is identified by its 32 bytes, not by their spelling:
 * base64 and base64url (RFC 4648, sections 4 and 5), with and without padding, are the same KEK.
 */

export const KEK_BYTES = 32

const kekSet = z.object({
  keys: z.array(z.object({ kty: z.literal('oct'), k: z.string() })).min(1),
})

/** Characters of 32 bytes in base64, without the padding of one `=`. */
const LENGTH = 43

/** A KEK in the spelling of its source. */
export interface WrittenKek {
  readonly secret: Uint8Array
  readonly text: string
}

/**
 * The key-encryption keys in the setting `seal.keys`, newest first.
 * @throws KekEmpty, KekUnreadable
 */
export function environmentKeks(text: string): readonly WrittenKek[] {
  const source = 'key-encryption key setting seal.keys'
  const bare = withoutMark(text).trim()
  if (bare === '' || bare.startsWith('{')) return readKekSet(text, source)
  return checked(
    bare.split(',').map((key) => key.trim()),
    source,
  )
}

/**
 * The keys of a JWK Set (RFC 7517).
 * @param source place of the set, for messages
 * @throws KekEmpty, KekUnreadable
 */
export function readKekSet(text: string, source: string): readonly WrittenKek[] {
  const bare = withoutMark(text).trim()
  if (bare === '') throw new KekEmpty(`The ${source} is empty. Restore it from a backup.`)
  let keys: readonly { readonly k: string }[]
  try {
    keys = kekSet.parse(JSON.parse(bare)).keys
  } catch (cause) {
    throw new KekUnreadable(
      `The ${source} is neither a JWK Set of 256-bit symmetric keys nor, in a setting, such keys in ` +
        'base64 with commas between. If it was good before, restore it from a backup.',
      // JSON.parse's message would quote the text.
      cause instanceof SyntaxError ? undefined : cause,
    )
  }
  return checked(
    keys.map(({ k }) => k),
    source,
  )
}

function checked(texts: readonly string[], source: string): readonly WrittenKek[] {
  const keks = readKekTexts(texts)
  if (typeof keks !== 'string') return keks
  throw new KekUnreadable(
    `The ${source} cannot be used: ${keks}. If it was good before, restore it from a backup.`,
  )
}

/** The text without a byte order mark, which may be ignored (RFC 8259, section 8.1). */
function withoutMark(text: string): string {
  return text.replace(/^\ufeff/, '')
}

/**
 * @param texts texts of a KEK each @returns the KEKs in the same order, or the problem of one of
 * them, without any part of its text
 */
function readKekTexts(texts: readonly string[]): readonly WrittenKek[] | string {
  const keks: WrittenKek[] = []
  for (const [index, text] of texts.entries()) {
    const place = texts.length === 1 ? 'it' : `key ${index + 1} of ${texts.length}`
    const problem = problemOf(text)
    if (problem) return `${place} ${problem}`
    const secret = Buffer.from(text, 'base64')
    const twin = keks.findIndex((other) => secret.equals(other.secret))
    if (twin >= 0) {
      return `keys ${twin + 1} and ${index + 1} are the same, though perhaps spelt differently: remove one`
    }
    keks.push({ secret: new Uint8Array(secret), text })
  }
  return keks
}

/** The problem of a text, in words that follow its place. */
function problemOf(text: string): string | undefined {
  if (/^[0-9a-f]{64}$/i.test(text)) {
    return 'has 64 hexadecimal digits, but must be in base64 (xxd -r -p | base64 converts it)'
  }
  if (/^([A-Za-z0-9+/]{43}|[A-Za-z0-9_-]{43})=?$/.test(text)) return undefined
  if (/[^\x21-\x7e]/.test(text))
    return 'has a blank or another character inside that base64 has not'
  if (/[^A-Za-z0-9+/_=-]/.test(text)) return 'has a character that base64 has not'
  if (/[+/]/.test(text) && /[-_]/.test(text)) {
    return 'has characters of base64 (+ /) and of base64url (- _), of which one key has only one kind'
  }
  if (/^[^=]*=+[^=]|==$/.test(text)) return 'has padding (=) where 32 bytes in base64 have none'
  const bytes = Math.floor((text.replace(/=$/, '').length * 3) / 4)
  return `has ${bytes} bytes in base64, but must have ${KEK_BYTES} (${LENGTH} characters, perhaps with = behind)`
}

/**
 * KEKs by the thumbprint (RFC 7638) of their bytes in the one spelling that RFC 7518, section
 * 6.4.1, has. Earlier versions hashed the spelling, so each KEK also has the kids that they gave
 * it.
 */
export function keksOf(written: readonly WrittenKek[]): Promise<readonly Kek[]> {
  const kidOf = (k: string) => calculateJwkThumbprint({ kty: 'oct', k }, 'sha256')
  return Promise.all(
    written.map(async (kek) => ({
      kid: await kidOf(canonical(kek)),
      secret: kek.secret,
      formerKids: await Promise.all(formerSpellings(kek).map(kidOf)),
    })),
  )
}

function canonical({ secret }: WrittenKek): string {
  return Buffer.from(secret).toString('base64url')
}

/**
 * Other spellings of a KEK: 43 characters have two bits more than 32 bytes, which decoders ignore.
 */
function formerSpellings(kek: WrittenKek): readonly string[] {
  const own = canonical(kek)
  const last = ALPHABET.indexOf(own.at(-1) ?? '')
  const alike = [0, 1, 2, 3].map((bits) => `${own.slice(0, -1)}${ALPHABET[last + bits]}`)
  const spellings = new Set([kek.text, ...alike, ...alike.map((text) => `${text}=`)])
  spellings.delete(own)
  return [...spellings]
}

/** Characters of base64url. */
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
