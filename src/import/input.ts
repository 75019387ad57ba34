import { refusal } from './refusal.ts'

/** Bytes that any reader takes at once; a realm export without people is far smaller. */
export const INPUT_BYTES_MAX = 16 * 1024 * 1024
/** Bytes of a key file: a chain of certificates of the largest keys is a few dozen kilobytes. */
export const KEY_FILE_BYTES_MAX = 1024 * 1024

/**
 * Refuses what is empty, and what would take too much memory.
 * @throws ImportRefused `input_empty`, `input_too_large`
 */
export function assertSize(bytes: Uint8Array, max: number, source: string): void {
  if (bytes.length === 0) throw refusal('input_empty', `${source} is empty.`)
  if (bytes.length > max) {
    throw refusal(
      'input_too_large',
      `${source} has ${bytes.length} bytes, and at most ${max} are read. Export the keys alone, without people.`,
    )
  }
}

/**
 * Reads text of the encodings that exports come in: UTF-8 with or without a byte-order mark, and UTF-16
 * with one, as PowerShell writes it.
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
 * Reads JSON. The parser's own words are not repeated, because they quote what it read.
 * @throws ImportRefused `input_truncated` where the text ends too early, `input_malformed`
 */
export function parseJson(text: string, source: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError && endsEarly(text)) {
      throw refusal(
        'input_truncated',
        `${source} ends in the middle of its JSON: it is half-written.`,
      )
    }
    throw refusal('input_malformed', `${source} is no JSON.`)
  }
}

/** Are brackets or a string still open at the end? */
function endsEarly(text: string): boolean {
  let depth = 0
  let quoted = false
  for (let at = 0; at < text.length; at++) {
    const char = text[at]
    if (char === '\\' && quoted) at++
    else if (char === '"') quoted = !quoted
    else if (!quoted && (char === '{' || char === '[')) depth++
    else if (!quoted && (char === '}' || char === ']')) depth--
  }
  return quoted || depth > 0
}
