import { KeyturnError, OrderInDoubt, StoreUnavailable } from '../errors.ts'
import type { CreateAction, EventAction } from './action.ts'
import type { KeyStore } from './key-store.ts'
import { assertComplete, isSealFailure, type LoadedRings, NO_RINGS } from './loaded-rings.ts'
import type { RotationPolicies } from './policy.ts'
import { createRings, type Rings } from './rings.ts'
import type { Sealer } from './sealer.ts'
import type { WitnessHook } from './witness-hook.ts'

/**
 * Operations on rings: open them, decide (`orders.ts`, `revocation.ts`), and carry the decision
 * out. Between the two a caller shows the price of the decision. A command, a console and an API
 * all work this way.
 */

export interface RingWork {
  readonly store: KeyStore
  /**
   * Opens the sealer. Makes a key-encryption key if there is none, so it is called only if there
   * are keys.
   */
  readonly openSealer: () => Promise<Sealer>
  readonly policies: RotationPolicies
  /** Instant of all decisions, in seconds since the epoch. */
  readonly now: number
  readonly witness: WitnessHook | undefined
}

type Opening = Pick<RingWork, 'store' | 'openSealer'>

/**
 * Loads the rings by a given function.
 * @returns no rings if the store is empty, so that a look makes no key-encryption key
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
 * Loads all rings.
 * @throws SealBroken, KekMissing or a similar error for a key that does not open and is not revoked
 */
export function openRings(work: Opening): Promise<LoadedRings> {
  return openRingsBy(work, (rings) => rings.load())
}

/**
 * Loads all rings in order to change them.
 * @throws StoreOutdated if the store lacks what the witness remembers, and what `openRings` throws
 */
export function openRingsToChange(work: Opening & Pick<RingWork, 'witness'>): Promise<LoadedRings> {
  const { witness } = work
  return openRingsBy(work, (rings) =>
    witness ? witness.load(rings.sealer, rings.load) : rings.load(),
  )
}

/**
 * Loads all rings in order to revoke a key. A key that does not open can be revoked too, because
 * its record is enough to decide.
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
 * Carries out an order, then turns the rings as a server would.
 * @returns the rings afterwards
 * @throws StoreIncomplete, OrderInDoubt; if the order is recorded and the turn after it failed, an
 * error with the code of that failure: a running server then turns the rings
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
 * Carries out a revocation. The event is recorded before any step that needs keys to open.
 * @param action undefined if everything is revoked already; the rings are turned all the same
 * @param revoked kids of the keys that the action revokes
 * @throws as `carryOut` does, with the revoked keys in the message
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
 * Applies the plan of this instant, as a running server would at its next turn, and loads the rings
 * again. Both may apply it at once, because every action is safe to do twice.
 * @param sealer a sealer to use instead of opening one
 * @throws StoreOutdated if the store lacks what the witness remembers
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

/** Turns the rings after an order. An error says that the order itself was carried out. */
async function turnAfter(done: string, work: RingWork): Promise<LoadedRings> {
  try {
    return await turnStoredRings(work)
  } catch (error) {
    if (!(error instanceof KeyturnError)) throw error
    const text = `${done}The rings could not be turned yet; a running server will turn them: ${error.message}`
    throw new KeyturnError(error.code, text, error)
  }
}
