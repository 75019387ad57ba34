import { calculateJwkThumbprint } from 'jose'
import { OrderInDoubt, StoreUnavailable } from '../errors.ts'
import { type Change, forecast } from '../ring/forecast.ts'
import type { RingName } from '../ring/key.ts'
import { allStates, type Phase } from '../ring/lifecycle.ts'
import { assertComplete, type LoadedRings } from '../ring/loaded-rings.ts'
import type { RingWork } from '../ring/operate.ts'
import type { RotationPolicies } from '../ring/policy.ts'
import { certificatesOf } from '../ring/ring-key.ts'
import { createRings } from '../ring/rings.ts'
import type { Adoption } from './adopt.ts'
import type { Present } from './adopt-presence.ts'

/** Operations with keys of another system, after `adopt.ts` has decided about them. */

/** Prepares loaded rings for `adopt`. */
export async function presentOf(rings: LoadedRings): Promise<Present> {
  const thumbprints = await Promise.all(
    rings.keys.map(async ({ kid, publicJwk }) =>
      publicJwk ? ([[kid, await calculateJwkThumbprint(publicJwk, 'sha256')]] as const) : [],
    ),
  )
  const certificates = rings.keys.flatMap(({ kid, publicJwk }) =>
    publicJwk?.x5c ? [[kid, certificatesOf(publicJwk)] as const] : [],
  )
  return {
    ...rings,
    thumbprints: new Map(thumbprints.flat()),
    certificates: new Map(certificates),
  }
}

/** A key of an import, as it is after the import. */
export interface AdoptedKey {
  readonly kid: string
  readonly thumbprint: string
  readonly ring: RingName
  readonly phase: Phase
  /** Instant at which the key leaves the JWKS; null if nothing determines it yet. */
  readonly publishedUntil: number | null
  readonly source: string
}

/** Lists the keys of an import in the order of their source. */
export function adoptedKeys(
  { keys, after }: Adoption,
  policies: RotationPolicies,
  now: number,
): readonly AdoptedKey[] {
  const states = new Map(allStates(after, policies, now).map((state) => [state.key.kid, state]))
  return keys.flatMap(({ key: { kid, thumbprint, source } }) => {
    const state = states.get(kid)
    if (!state) return []
    const { phase, unpublishAt: publishedUntil } = state
    return { kid, thumbprint, ring: state.key.ring, phase, publishedUntil, source }
  })
}

/** A coming event of a ring with imported keys. */
export interface NextEvent {
  readonly ring: RingName
  /** Kind of event: a key is made, another key starts to sign, a key leaves the JWKS. */
  readonly event: 'make' | 'switch' | 'leave'
  readonly at: number
  /** Kid of the key; null if it is not made yet. */
  readonly kid: string | null
}

const EVENTS: Readonly<Partial<Record<Change['type'], NextEvent['event']>>> = {
  create: 'make',
  activate: 'switch',
  unpublish: 'leave',
}

/** Most changes of a ring to look at. Later ones concern keys that nobody knows yet. */
const STEPS = 24

/**
 * Lists, for each ring with imported keys, the next key to be made, the next switch, and when each
 * key leaves.
 */
export function nextEvents(
  { keys, after }: Adoption,
  policies: RotationPolicies,
  now: number,
): readonly NextEvent[] {
  const rings = new Set(keys.map(({ ring }) => ring))
  const { due, changes } = forecast(after, policies, { now, steps: STEPS })
  const events = [...due, ...changes].flatMap(({ type, ring, at, kid }): NextEvent[] => {
    const event = EVENTS[type]
    return event && rings.has(ring) ? [{ ring, event, at, kid }] : []
  })
  const isFirst = (one: NextEvent) =>
    one === events.find(({ ring, event }) => ring === one.ring && event === one.event)
  return events.filter((one) => (one.event === 'leave' ? one.kid !== null : isFirst(one)))
}

/**
 * Writes the adoption, either all of it or nothing. A repetition changes nothing.
 * @param before rings on which the adoption was decided
 * @throws PlaceTaken if another process made a key meanwhile; OrderInDoubt, StoreUnavailable
 */
export async function carryIn(
  { records }: Adoption,
  before: LoadedRings,
  { store, openSealer, witness }: Pick<RingWork, 'store' | 'openSealer' | 'witness'>,
): Promise<void> {
  if (records.keys.length + records.events.length === 0) return
  const { heads } = assertComplete(before)
  const sealer = await openSealer()
  const keys = await Promise.all(
    records.keys.map(({ facts, jwk }) => sealer.seal(facts, jwk, heads)),
  )
  const events = []
  let known = heads
  for (const event of records.events) {
    const sealed = await sealer.sealEvent(event, known)
    events.push(sealed)
    known = [sealed.id]
  }
  const replaced = before.records.keys.filter(({ id }) => records.completed.includes(id))
  await store.addTogether({ keys, events, replaced }).catch((error: unknown) => {
    if (error instanceof StoreUnavailable && error.mayBeDone) throw new OrderInDoubt(error)
    throw error
  })
  await witness?.note(await createRings({ store, sealer }).load())
}
