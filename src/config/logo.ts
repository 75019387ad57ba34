import { resolve } from 'node:path'
import { readBoundedSync } from '../bounded-file.ts'
import type { Violation } from '../errors.ts'
import type { Settings } from './schema.ts'

/**
 * The logo of the deployment (`pages.logo`), a file that pages show. Its content tells its type.
 */
export interface Logo {
  readonly body: Buffer
  /** Media type. */
  readonly type: string
}

/** Largest logo in bytes, because every page loads it. */
export const LOGO_BYTES_MAX = 256 * 1024

/** Reads a logo. @throws Error whose message completes the sentence "it must be ..." */
export function readLogo(file: string): Logo {
  const body = readBytes(file)
  if (!body) throw new Error(`a file of at most ${LOGO_BYTES_MAX} bytes`)
  const type = KINDS.find(({ isOf }) => isOf(body))?.type
  if (type === undefined)
    throw new Error('an SVG, PNG, JPEG or WebP image, but its content is none of these')
  return { body, type }
}

/** Reads the file, so that a missing one is reported at start. */
export function brokenLogo({ pages: { logo } }: Settings): readonly Violation[] {
  if (logo === null) return []
  try {
    readLogo(logo)
    return []
  } catch (error) {
    // Only `readLogo` throws here, and it throws errors.
    const { message } = error as Error
    const fix = 'name another file, or set pages.logo to null'
    return [
      { path: 'pages.logo', value: logo, rule: 'logo', message: `it must be ${message}`, fix },
    ]
  }
}

function readBytes(file: string): Buffer | undefined {
  const path = resolve(file)
  try {
    return readBoundedSync(path, LOGO_BYTES_MAX)
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    throw new Error(`a file that can be read; ${path} cannot (${reason})`, { cause: error })
  }
}

const startsWith = (body: Buffer, bytes: string, from = 0) =>
  body.toString('latin1', from, from + bytes.length) === bytes

/** An SVG element, after an optional XML declaration, comments and a document type. */
const SVG = /^\ufeff?\s*(?:<\?xml[^>]*\?>\s*|<!--[\s\S]*?-->\s*|<!DOCTYPE[^>]*>\s*)*<svg[\s>]/

const KINDS: readonly { readonly type: string; readonly isOf: (body: Buffer) => boolean }[] = [
  { type: 'image/png', isOf: (body) => startsWith(body, '\x89PNG\r\n\x1a\n') },
  { type: 'image/jpeg', isOf: (body) => startsWith(body, '\xff\xd8\xff') },
  {
    type: 'image/webp',
    isOf: (body) => startsWith(body, 'RIFF') && startsWith(body, 'WEBP', 8),
  },
  { type: 'image/svg+xml', isOf: (body) => SVG.test(body.toString('utf8')) },
]
