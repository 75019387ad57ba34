import { KeyturnError, OrderInDoubt, StoreUnavailable } from '../errors.ts'
import type { CreateAction, EventAction } from './action.ts'
import type { KeyStore } from './key-store.ts'
import { assertComplete, isSealFailure, type LoadedRings, NO_RINGS } from './loaded-rings.ts'
import type { RotationPolicies } from './policy.ts'
import { createRings, type Rings } from './rings.ts'
import type { Sealer } from './sealer.ts'
import type { WitnessHook } from './witness-hook.ts'

/**
 * What operators do with rings: open them, decide (`orders.ts`, `revocation.ts`), and carry the decision out. A
 * caller shows between the two what the decision costs. A command, a console and an API do the same.
 */

export interface RingWork {
  readonly store: KeyStore
  /** Makes a key-encryption key where there is none, so it is called only where there are keys. */
  readonly openSealer: () => Promise<Sealer>
  readonly policies: RotationPolicies
  /** One instant for all that is done, in seconds since the epoch. */
  readonly now: number
  readonly witness: WitnessHook | undefined
}

type Opening = Pick<RingWork, 'store' | 'openSealer'>

/**
 * Loads the rings in a way of the caller's.
 * @returns no rings where the store is empty, so that looking makes no key-encryption key
 */
export async function openRingsBy(
  { store, openSealer }: Opening,
  load: (rings: Rings) => Promise<LoadedRings>,
): Promise<LoadedRings> {
  const stored = await store.load()
  if (stored.keys.length + stored.events.length === 0) return NO_RINGS
  return load(createRings({ store, sealer: await openSealer() }))
}

/**
 * All rings.
 * @throws SealBroken, KekMissing and their like for a key that does not open and is not revoked
 */
export function openRings(work: Opening): Promise<LoadedRings> {
  return openRingsBy(work, (rings) => rings.load())
}

/**
 * All rings, for who wants to change something of them.
 * @throws StoreOutdated where the store lacks what the witness remembers, and what `openRings` throws
 */
export function openRingsToChange(work: Opening & Pick<RingWork, 'witness'>): Promise<LoadedRings> {
  const { witness } = work
  return openRingsBy(work, (rings) =>
    witness ? witness.load(rings.sealer, rings.load) : rings.load(),
  )
}

/**
 * All rings, for who revokes a key. Where one does not open, revoking it is the way out, and what its record
 * says is enough to decide.
 */
export async function openRingsToRevoke(work: Opening): Promise<LoadedRings> {
  try {
    return await openRings(work)
  } catch (error) {
    if (!isSealFailure(error)) throw error
    return openRingsBy(work, (rings) => rings.loadRecorded())
  }
}

/**
 * Records or makes what was ordered, then turns the rings as a server would.
 * @returns the rings as they are then
 * @throws StoreIncomplete, OrderInDoubt; and the code of what failed where the order is recorded and the turn
 *   after it failed, which a running server then does
 */
export async function carryOut(
  action: EventAction | CreateAction,
  before: LoadedRings,
  work: RingWork,
): Promise<LoadedRings> {
  await apply(action, assertComplete(before), work)
  return turnAfter('The order is recorded. ', work)
}

/**
 * Carries out a revocation: the event is recorded before anything is done that needs keys to open.
 * @param action undefined where all is revoked already; the rings are turned all the same
 * @param revoked kids of the keys that it revokes
 * @throws as `carryOut` does, with what was revoked
 */
export async function carryOutRevocation(
  {
    action,
    revoked,
  }: { readonly action: EventAction | undefined; readonly revoked: readonly string[] },
  before: LoadedRings,
  work: RingWork,
): Promise<LoadedRings> {
  if (action) await apply(action, before, work)
  return turnAfter(revoked.length > 0 ? `Revoked: ${revoked.join(', ')}. ` : '', work)
}

/**
 * Does what the plan says now, as a running server would at its next turn, and loads the rings
 * again. Both may do it at once: every action is safe to do twice.
 * @param sealer another one than that of a start
 * @throws StoreOutdated where the store lacks what the witness remembers
 */
export async function turnStoredRings(
  { store, openSealer, policies, now, witness }: RingWork,
  sealer?: Sealer,
): Promise<LoadedRings> {
  const rings = createRings({ store, sealer: sealer ?? (await openSealer()) })
  const loaded = witness ? await witness.load(rings.sealer, rings.load) : await rings.load()
  // An operator's process has just begun and does not know how its clock has behaved.
  const { facts } = await rings.turn(loaded, { policies, now, isClockSettled: false })
  await witness?.note(facts)
  return facts
}

async function apply(
  action: EventAction | CreateAction,
  before: LoadedRings,
  { store, openSealer }: Opening,
): Promise<void> {
  const rings = createRings({ store, sealer: await openSealer() })
  await rings.apply(action, before).catch((error: unknown) => {
    if (error instanceof StoreUnavailable && error.mayBeDone) throw new OrderInDoubt(error)
    throw error
  })
}

/** What was ordered is done, and must not be told as a failure where the turn after it fails. */
async function turnAfter(done: string, work: RingWork): Promise<LoadedRings> {
  try {
    return await turnStoredRings(work)
  } catch (error) {
    if (!(error instanceof KeyturnError)) throw error
    const text = `${done}The ring does not turn yet; a running server turns it: ${error.message}`
    throw new KeyturnError(error.code, text, error)
  }
}
