import { mutateBytes } from './mutate-bytes.ts'
import { mutateDer } from './mutate-der.ts'
import { mutateJson } from './mutate-json.ts'
import { mutateXml } from './mutate-xml.ts'
import type { Random } from './random.ts'

/** Mutates a file of any format: half of the times by what it means, else its bytes. */

const BASE64 = /^[A-Za-z0-9+/_\s-]{16,}={0,2}\s*$/
const PEM = /(-----BEGIN [^-]+-----)([A-Za-z0-9+/=\s]+)(-----END)/g
/** A cell of CSV, of text with tabs, or of SQL. */
const CELL = /"(?:[^"]|"")*"|'(?:[^']|'')*'|[^,\t\n"'()]+/g
interface MutateFile {
  /** Files to take pieces from. */
  readonly corpus: readonly Buffer[]
  /** Bytes of a file that is blown up. */
  readonly largest: number
}

export function mutateFile(bytes: Buffer, { corpus, largest }: MutateFile, random: Random): Buffer {
  if (random.oneIn(20_000)) return blownUp(bytes, largest, random)
  if (random.oneIn(2)) return mutateBytes(bytes, corpus, random)
  const isBinary = bytes.subarray(0, 1000).includes(0) || bytes[0] === 0x30
  if (!isBinary) return Buffer.from(mutateText(bytes.toString('utf8'), random))
  const changed = bytes[0] === 0x30 ? mutateDer(bytes, random) : bytes
  return changed === bytes ? mutateBytes(bytes, corpus, random) : changed
}

function mutateText(text: string, random: Random): string {
  const inner = (one: string) => mutateText(one, random)
  if (/^\s*(?:\ufeff)?\s*[[{]/.test(text)) {
    const mark = text.startsWith('\ufeff') ? '\ufeff' : ''
    const mutated = mutateJson(text.slice(mark.length), inner, random)
    if (mutated !== undefined) return mark + mutated
  }
  if (/^\s*(?:\ufeff)?\s*</.test(text)) return mutateXml(text, [text], random)
  if (text.includes('-----BEGIN ')) return mutatePem(text, random)
  if (BASE64.test(text)) return mutateBase64(text, random)
  return mutateCell(text, inner, random)
}

function mutatePem(text: string, random: Random): string {
  const found = [...text.matchAll(PEM)]
  if (found.length === 0) return mutateCell(text, (one) => one.slice(1), random)
  const { index, 0: whole, 1: begin = '', 2: body = '' } = random.pick(found)
  const changed = mutateDer(Buffer.from(body, 'base64'), random).toString('base64')
  const lines = changed.replace(/.{64}/g, '$&\n')
  return (
    text.slice(0, index) +
    whole.replace(begin + body, () => `${begin}\n${lines}\n`) +
    text.slice(index + whole.length)
  )
}

/** Mutates the bytes that base64 holds, as DER where they are that. */
function mutateBase64(text: string, random: Random): string {
  const bytes = Buffer.from(text, 'base64')
  const spelling = /[-_]/.test(text) ? 'base64url' : 'base64'
  if (bytes[0] === 0x30) return mutateDer(bytes, random).toString(spelling)
  if (random.oneIn(3)) return bytes.subarray(random.below(bytes.length + 1)).toString(spelling)
  return mutateBytes(bytes, [bytes], random).toString(spelling)
}

/** Mutates one cell of a table, inside of its quotes. */
function mutateCell(text: string, inner: (text: string) => string, random: Random): string {
  const cells = [...text.matchAll(CELL)]
  if (cells.length === 0) return `${text}x`
  const { index, 0: cell } = random.pick(cells)
  const [quote = ''] = /^["']/.exec(cell) ?? []
  const content = quote === '' ? cell : cell.slice(1, -1).replaceAll(quote + quote, quote)
  const other = random.pick(cells)[0].replace(/^["']|["']$/g, '')
  const isStructured = /^[[{]|^-----|^7B22|^5B/i.test(content) || BASE64.test(content)
  const changed =
    isStructured && content !== text && !random.oneIn(3)
      ? inner(content)
      : random.pick([
          '',
          'NULL',
          '\\N',
          '-1',
          '0',
          '1',
          'true',
          '9'.repeat(400),
          'x'.repeat(300),
          other,
          content + content,
          content.slice(random.below(content.length + 1)),
        ])
  const quoted = quote === '' ? changed : quote + changed.replaceAll(quote, quote + quote) + quote
  return text.slice(0, index) + quoted + text.slice(index + cell.length)
}

/** Repeats a piece of a file until it is larger than a reader takes, or just small enough. */
function blownUp(bytes: Buffer, largest: number, random: Random): Buffer {
  const size = random.oneIn(2) ? largest : Math.floor(largest * 0.9)
  const at = random.below(bytes.length + 1)
  const piece = random.oneIn(2) ? bytes.subarray(at, at + 1 + random.below(100)) : bytes
  const large = Buffer.alloc(size + bytes.length, piece.length > 0 ? piece : 'x')
  bytes.copy(large, 0, 0, at)
  bytes.copy(large, size + at, at)
  return large
}
