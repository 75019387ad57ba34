import { z } from 'zod'
import { StoreUnreadable } from '../errors.ts'
import type { KeyEvent } from '../keys/key.ts'
import type { SerializedKey } from '../keys/key-store.ts'

/** Reading keys and events from text: a record is what Keyturn wrote, or an error that names it. */

const instant = z.int()

const serializedKey = z.strictObject({
  id: z.string().min(1),
  version: z.literal(1),
  ring: z.string().min(1),
  generation: z.int().min(1),
  algorithm: z.string().min(1),
  created: instant,
  activatesAt: instant,
  retention: z.int().min(0),
  isX509Certificate: z.boolean(),
  data: z.string().min(1),
  dataProtected: z.boolean(),
}) satisfies z.ZodType<SerializedKey>

const event = {
  id: z.string(),
  ring: z.string(),
  at: instant,
  reason: z.string(),
  actor: z.string(),
}

const keyEvent = z.discriminatedUnion('type', [
  z.strictObject({ ...event, type: z.literal('promote'), kid: z.string(), activatesAt: instant }),
  z.strictObject({ ...event, type: z.literal('revoke'), kid: z.string() }),
  z.strictObject({ ...event, type: z.literal('revoke-before'), createdBefore: instant }),
  z.strictObject({ ...event, type: z.literal('extend'), kid: z.string(), retention: z.int() }),
  z.strictObject({
    ...event,
    type: z.literal('valid-until'),
    kid: z.string(),
    validUntil: instant,
  }),
]) satisfies z.ZodType<KeyEvent>

/** @param source where the text came from, for the error */
export function parseSerializedKey(text: string, source: string): SerializedKey {
  return parse(serializedKey, text, source)
}

export function parseKeyEvent(text: string, source: string): KeyEvent {
  return parse(keyEvent, text, source)
}

function parse<T>(schema: z.ZodType<T>, text: string, source: string): T {
  try {
    return schema.parse(JSON.parse(text))
  } catch (cause) {
    throw new StoreUnreadable(
      `${source} is not a record that Keyturn wrote: it may be half-written or edited. It is kept ` +
        'and not replaced. Restore it from a backup.',
      cause,
    )
  }
}
