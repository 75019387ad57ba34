import { z } from 'zod'
import { StoreUnreadable } from '../errors.ts'
import type { RecordsTogether, SerializedEvent, SerializedKey } from './key-store.ts'
import { generation, instant } from './limits.ts'

/**
 * Reads records of keys and events. A record that Keyturn did not write is an error that names it.
 */

const serializedKey = z.strictObject({
  id: z.string().min(1),
  version: z.literal(1),
  ring: z.string().min(1),
  generation,
  algorithm: z.string().min(1),
  created: instant,
  activatesAt: instant,
  retention: z.int().min(0),
  isX509Certificate: z.boolean(),
  data: z.string().min(1),
  dataProtected: z.boolean(),
}) satisfies z.ZodType<SerializedKey>

const serializedEvent = z.strictObject({
  id: z.string().min(1),
  ring: z.string(),
  type: z.string(),
  at: instant,
  data: z.string(),
}) satisfies z.ZodType<SerializedEvent>

const batch = z.strictObject({
  keys: z.array(serializedKey),
  events: z.array(serializedEvent),
  replaced: z.array(serializedKey).default([]),
}) satisfies z.ZodType<RecordsTogether>

/** @param source origin of the text, for the error */
export function parseSerializedKey(text: string, source: string): SerializedKey {
  return parse(serializedKey, text, source)
}

export function parseSerializedEvent(text: string, source: string): SerializedEvent {
  return parse(serializedEvent, text, source)
}

/** Parses records that are being added together. */
export function parseBatch(text: string, source: string): RecordsTogether {
  return parse(batch, text, source)
}

/** Checks a record that a database keeps in columns. */
export function checkSerializedKey(record: SerializedKey, source: string): SerializedKey {
  return check(serializedKey, record, source)
}

function parse<T>(schema: z.ZodType<T>, text: string, source: string): T {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // A text that is not JSON fails the check below.
  }
  return check(schema, value, source)
}

function check<T>(schema: z.ZodType<T>, value: unknown, source: string): T {
  try {
    return schema.parse(value)
  } catch (cause) {
    throw new StoreUnreadable(
      `${source} is not a record that Keyturn wrote: it may be half-written or edited. It is kept ` +
        'and not replaced. Restore it from a backup.',
      cause,
    )
  }
}
