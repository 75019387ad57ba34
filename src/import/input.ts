import { refusal } from './refusal.ts'

/** Most bytes that a reader takes at once; a realm export without people is far smaller. */
export const INPUT_BYTES_MAX = 16 * 1024 * 1024
/** Most bytes of a database file, which may have much beside its keys; only they become objects. */
export const DATABASE_BYTES_MAX = 64 * 1024 * 1024
/** Most values in a text: each costs some 50 bytes of memory, however short it is. */
export const VALUES_MAX = 1_000_000
/** Most levels of nested objects; exports have ten. */
const DEPTH_MAX = 100
/**
 * Most bytes of a key file: a chain of certificates of the largest keys is a few dozen kilobytes.
 */
export const KEY_FILE_BYTES_MAX = 1024 * 1024

/**
 * Refuses empty input, and input that would take too much memory.
 * @throws ImportRefused `input_empty`, `input_too_large`
 */
export function assertSize(bytes: Uint8Array, max: number, source: string): void {
  if (bytes.length === 0) throw refusal('input_empty', `${source} is empty.`)
  if (bytes.length > max) {
    throw refusal(
      'input_too_large',
      `${source} has more than ${max} bytes, and no more are read. Export the keys alone, without people, or dump the table of keys alone.`,
    )
  }
}

/**
 * Reads text in the encodings of exports: UTF-8 with or without a byte-order mark, and UTF-16 with
 * one, as PowerShell writes it.
 * @throws ImportRefused `input_malformed` for other bytes
 */
export function decodeText(bytes: Uint8Array, source: string): string {
  const encoding = { '255,254': 'utf-16le', '254,255': 'utf-16be' }[bytes.slice(0, 2).join()]
  try {
    return new TextDecoder(encoding ?? 'utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw refusal('input_malformed', `${source} is no text in UTF-8: it may be damaged.`)
  }
}

/**
 * Reads JSON. The parser's message is not repeated, because it quotes the input.
 * @throws ImportRefused `input_truncated` if the text ends too early, `input_malformed`,
 * `input_too_large`
 */
export function parseJson(text: string, source: string): unknown {
  const { values, depth, isOpen } = shapeOf(text)
  if (values > VALUES_MAX || depth > DEPTH_MAX) {
    throw refusal(
      'input_too_large',
      `${source} has more than ${VALUES_MAX} values, or more than ${DEPTH_MAX} in each other. Export the keys alone.`,
    )
  }
  try {
    return JSON.parse(text)
  } catch {
    if (isOpen) {
      throw refusal(
        'input_truncated',
        `${source} ends in the middle of its JSON: it is half-written.`,
      )
    }
    throw refusal('input_malformed', `${source} is no JSON.`)
  }
}

/**
 * Number and depth of values in JSON, before it is parsed, and whether brackets or a string are
 * open at its end.
 */
function shapeOf(text: string): { values: number; depth: number; isOpen: boolean } {
  const pattern = /["[\]{},]/g
  let [values, depth, deepest, isOpen] = [1, 0, 0, false]
  for (let found = pattern.exec(text); found && values <= VALUES_MAX; found = pattern.exec(text)) {
    const [char] = found
    if (char === '"') {
      const end = endOfString(text, pattern.lastIndex)
      if (end === -1) {
        isOpen = true
        break
      }
      pattern.lastIndex = end + 1
    } else if (char === ',') values++
    else if (char === '{' || char === '[') {
      values++
      deepest = Math.max(deepest, ++depth)
    } else depth--
  }
  return { values, depth: deepest, isOpen: isOpen || depth > 0 }
}

/** Position of the next quote without a backslash before it, or -1. */
function endOfString(text: string, from: number): number {
  for (let at = text.indexOf('"', from); at !== -1; at = text.indexOf('"', at + 1)) {
    let backslashes = 0
    while (text[at - 1 - backslashes] === '\\' && at - 1 - backslashes >= from) backslashes++
    if (backslashes % 2 === 0) return at
  }
  return -1
}
