import { hash } from 'node:crypto'
import { z } from 'zod'
import { generation, instant } from '../ring/limits.ts'
import { WitnessUnreadable } from '../ring/witness-errors.ts'
import type { WitnessRecord } from './witness.ts'

/**
 * Text form of a witness, with a digest of itself. A truncated, half-written or edited witness is
 * an error, because the lost part might be a revocation.
 */

const FORMAT = 1

const generations = z.record(z.string(), generation)
/** Record of an event; its content is checked when it is put back. */
const event = z.strictObject({
  id: z.string(),
  ring: z.string(),
  type: z.string(),
  at: instant,
  data: z.string(),
})

const content = z.strictObject({
  keyturnWitness: z.literal(FORMAT),
  deployment: z.string().nullable(),
  issuer: z.string().nullable(),
  generations,
  lost: generations,
  events: z.array(event),
  accepted: z.array(
    z.strictObject({
      at: instant,
      actor: z.string(),
      reason: z.string(),
      events: z.array(event),
      generations,
    }),
  ),
  mac: z.string().nullable(),
})

export function witnessText(record: WitnessRecord): string {
  const whole = { keyturnWitness: FORMAT, ...record }
  return `${JSON.stringify({ ...whole, digest: digestOf(whole) }, null, 2)}\n`
}

/**
 * @param where the text came from, for the error
 * @throws WitnessUnreadable
 */
export function parseWitness(text: string, where: string): WitnessRecord {
  const { digest, ...whole } = parseObject(text, where)
  if (digest !== digestOf(whole)) throw new WitnessUnreadable(where, 'its digest is wrong')
  const parsed = content.safeParse(whole)
  if (!parsed.success) {
    throw new WitnessUnreadable(where, 'another version of Keyturn wrote it', parsed.error)
  }
  const { keyturnWitness, ...record } = parsed.data
  return record
}

function parseObject(text: string, where: string): Record<string, unknown> {
  if (text.trim() === '') throw new WitnessUnreadable(where, 'it is empty')
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return { ...value }
  } catch (cause) {
    throw new WitnessUnreadable(where, 'it is cut off or no JSON', cause)
  }
  throw new WitnessUnreadable(where, 'it is no witness')
}

/** Digest of the values, independent of the text's indentation. */
function digestOf(whole: object): string {
  return hash('sha256', JSON.stringify(sorted(whole)), 'base64url')
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([name, inner]) => [name, sorted(inner)] as const)
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
