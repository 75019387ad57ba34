import { refusal } from './refusal.ts'

/** Blocks of PEM (RFC 7468), also with text around them, other line ends, or on one line. */

export interface PemBlock {
  readonly label: string
  readonly der: Buffer
  /** Value of the header `DEK-Info` (RFC 1421) of an encrypted block. */
  readonly dekInfo?: string
}

/** Most blocks of one file. */
const BLOCKS_MAX = 1000
const BEGIN = '-----BEGIN '
const LABEL = /^([A-Z0-9 #]{1,60})-----/

export function looksLikePem(text: string): boolean {
  return text.includes(BEGIN)
}

/**
 * Finds all blocks of a text.
 * @throws ImportRefused `input_truncated` if the last block has no end, `input_malformed`,
 * `input_too_large`
 */
export function pemBlocks(text: string, source: string): readonly PemBlock[] {
  const blocks: PemBlock[] = []
  for (let at = text.indexOf(BEGIN); at !== -1; at = text.indexOf(BEGIN, at)) {
    const label = LABEL.exec(text.slice(at + BEGIN.length, at + 80))?.[1]
    if (label === undefined)
      throw refusal('input_malformed', `${source} has a PEM block without a label.`)
    const start = at + BEGIN.length + label.length + 5
    const end = text.indexOf(`-----END ${label}-----`, start)
    const next = text.indexOf(BEGIN, start)
    if (end === -1 || (next !== -1 && next < end)) {
      throw refusal(
        'input_truncated',
        `${source} has a PEM block ${label} without its end: it is half-written.`,
      )
    }
    blocks.push({ label, ...content(text.slice(start, end), label, source) })
    if (blocks.length > BLOCKS_MAX)
      throw refusal('input_too_large', `${source} has more than ${BLOCKS_MAX} PEM blocks.`)
    at = end
  }
  return blocks
}

function content(body: string, label: string, source: string): { der: Buffer; dekInfo?: string } {
  // Environment variables often have backslash and n instead of line ends.
  const lines = body.replace(/\\r\\n|\\[nr]/g, '\n')
  const [, dekInfo] = /^DEK-Info:(.*)$/im.exec(lines) ?? []
  const base64 = lines.replace(/^[A-Za-z0-9-]+:.*$/gm, '').replace(/\s+/g, '')
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(base64) || base64.length % 4 === 1) {
    throw refusal(
      'input_malformed',
      `${source} has a PEM block ${label} that is no base64: it is damaged.`,
    )
  }
  return { der: Buffer.from(base64, 'base64'), ...(dekInfo !== undefined && { dekInfo }) }
}
