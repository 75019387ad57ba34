import { hash } from 'node:crypto'
import { base64url, CompactSign, compactVerify, decodeProtectedHeader, errors } from 'jose'
import { z } from 'zod'
import { StoreUnreadable } from '../errors.ts'
import type { IssuerSecret } from './deployment.ts'
import { type EventWithoutId, type KeyEvent, keyEvent } from './key.ts'
import type { SerializedEvent } from './key-store.ts'
import { generation, instant } from './limits.ts'

/**
 * Events as a store keeps them. An event is a compact JWS (RFC 7515) with HS256 under a key of its
 * issuer, derived from the secret of the deployment, so that write access to the store alone does
 * not allow anybody to promote, to revoke or to edit what was decided. The payload holds every
 * field of the event and the ids of the newest events that its writer knew. Events therefore form a
 * graph in which a deleted event leaves an id without a record. Two nodes may write at once, and a
 * lost event can be added again at any time.
 */

/** Events of a store, genuine and forged ones apart. */
export interface OpenedEvents {
  /** Genuine events, each once, oldest first. */
  readonly events: readonly KeyEvent[]
  /** The records of all genuine events. */
  readonly records: readonly SerializedEvent[]
  /** Ids of the newest events, which no other event names. */
  readonly heads: readonly string[]
  /** Ids of events that other events name. */
  readonly named: readonly string[]
  /** Ids of events that an operator has given up for lost. */
  readonly accepted: readonly string[]
  /** Ids of records that fail their check. They are ignored, and hide no genuine event. */
  readonly forged: readonly string[]
}

const TYPE = 'keyturn-event'
const ALGORITHM = 'HS256'

/** @param knows ids of the newest events that the writer knows */
export async function sealEvent(
  event: KeyEvent,
  knows: readonly string[],
  deployment: IssuerSecret,
): Promise<SerializedEvent> {
  const { id: _, ...payload } = event
  const { ring, type, at } = event
  const data = await new CompactSign(
    new TextEncoder().encode(JSON.stringify({ ...payload, knows })),
  )
    .setProtectedHeader({ alg: ALGORITHM, typ: TYPE, kid: deployment.kid })
    .sign(deployment.key('events'))
  return { id: recordId(type, data), ring, type, at, data }
}

interface CheckedEvent {
  readonly event: KeyEvent
  readonly knows: readonly string[]
}

/** Genuine events by id. The id follows from the text, so no event is checked twice. */
export type CheckedEvents = Map<string, CheckedEvent & { readonly data: string }>

/**
 * Checks and reads events.
 * @param known events that were checked before; updated
 * @throws StoreUnreadable for a genuine event of a type that only a newer version knows, because it
 * may be a revocation
 */
export async function openEvents(
  records: readonly SerializedEvent[],
  deployment: IssuerSecret,
  known: CheckedEvents = new Map(),
): Promise<OpenedEvents> {
  const key = deployment.key('events')
  const check = async (record: SerializedEvent): Promise<CheckedEvent | undefined> => {
    const { id, data } = record
    const checked = known.get(id)
    if (checked?.data === data) return checked
    const payload = await readPayload(record, key)
    if (!payload) return undefined
    const event = toEvent(payload, record)
    known.set(id, { ...event, data })
    return event
  }
  const { former } = deployment
  // Skipped for the many deployments without former secrets, because it decodes every record again.
  const ours =
    former.length === 0
      ? records
      : records.filter((record) => !former.includes(signerOf(record) ?? ''))
  const checked = await Promise.all(
    ours.map(async (record) => ({ record, event: await check(record) })),
  )
  const genuine = checked
    .flatMap(({ record, event }) => (event ? { record, ...event } : []))
    .sort((a, b) => a.event.at - b.event.at || (a.record.id < b.record.id ? -1 : 1))
  const events = genuine.map(({ event }) => event)
  const named = new Set(genuine.flatMap(({ knows }) => knows))
  return {
    events: eachOnce(events),
    records: genuine.map(({ record }) => record),
    heads: genuine.flatMap(({ record: { id } }) => (named.has(id) ? [] : id)),
    named: [...named],
    accepted: events.flatMap((event) => (event.type === 'accept' ? event.missing : [])),
    forged: checked.flatMap(({ record, event }) => (event ? [] : record.id)),
  }
}

/**
 * Events whose records cannot be checked, because the secret of the deployment does not open: for
 * people to look at, never to act on.
 */
export function readUnchecked(records: readonly SerializedEvent[]): readonly KeyEvent[] {
  return records.flatMap(({ data }) => {
    try {
      const [, payload = ''] = data.split('.')
      const { knows: _, ...event } = eventPayload.parse(
        JSON.parse(new TextDecoder().decode(base64url.decode(payload))),
      )
      return keyEvent(event satisfies EventWithoutId)
    } catch {
      return []
    }
  })
}

/** kid of the secret in the unchecked header of an event. */
function signerOf({ data }: SerializedEvent): string | undefined {
  try {
    return decodeProtectedHeader(data).kid
  } catch {
    return undefined
  }
}

/** The payload of a genuine event; undefined if its record was forged or edited. */
async function readPayload(
  { id, data }: SerializedEvent,
  key: Parameters<typeof compactVerify>[1],
): Promise<Record<string, unknown> | undefined> {
  try {
    const options = { algorithms: [ALGORITHM] }
    const { payload, protectedHeader } = await compactVerify(data, key, options)
    const value: unknown = JSON.parse(new TextDecoder().decode(payload))
    if (protectedHeader.typ !== TYPE || typeof value !== 'object' || value === null)
      return undefined
    const fields = { ...value } as Record<string, unknown>
    return recordId(String(fields.type), data) === id ? fields : undefined
  } catch (error) {
    if (error instanceof errors.JOSEError || error instanceof SyntaxError) return undefined
    throw error
  }
}

function toEvent(payload: Record<string, unknown>, { id }: SerializedEvent): CheckedEvent {
  const parsed = eventPayload.safeParse(payload)
  if (!parsed.success) {
    throw new StoreUnreadable(
      `Event ${id} is genuine, but this version of Keyturn cannot read it: a newer version wrote it. ` +
        'Update this node.',
      parsed.error,
    )
  }
  const { knows, ...event } = parsed.data
  return { event: keyEvent(event satisfies EventWithoutId), knows }
}

/** Keeps the oldest of several records of the same event. @param events oldest first */
function eachOnce(events: readonly KeyEvent[]): readonly KeyEvent[] {
  const once = new Map<string, KeyEvent>()
  for (const event of events) if (!once.has(event.id)) once.set(event.id, event)
  return [...once.values()]
}

function recordId(type: string, data: string): string {
  return `${type}/${hash('sha256', data, 'base64url')}`
}

const base = {
  ring: z.string(),
  at: instant,
  reason: z.string(),
  actor: z.string(),
  knows: z.array(z.string()),
}
const kid = z.string()
const place = z.strictObject({ kid, generation, createdAt: instant, activatesAt: instant })

const eventPayload = z.discriminatedUnion('type', [
  z.strictObject({ ...base, type: z.literal('promote'), kid, activatesAt: instant }),
  z.strictObject({ ...base, type: z.literal('revoke'), kid, place: place.nullable() }),
  z.strictObject({
    ...base,
    type: z.literal('revoke-before'),
    createdBefore: instant,
    places: z.array(place),
  }),
  z.strictObject({ ...base, type: z.literal('extend'), kid, retention: z.int() }),
  z.strictObject({ ...base, type: z.literal('valid-until'), kid, validUntil: instant }),
  z.strictObject({ ...base, type: z.literal('accept'), missing: z.array(z.string()) }),
])
