import { isDeepStrictEqual } from 'node:util'
import { generateKey } from './generate.ts'
import type { KeyStore, SerializedKey } from './key-store.ts'
import { isRevocationOf, type RingFacts } from './lifecycle.ts'
import { type Action, plan } from './plan.ts'
import type { RotationPolicies } from './policy.ts'
import { closedKey, type RingKey, type Sealer } from './seal.ts'

/**
 * Loading the rings from a store and doing what a plan says. Deciding is in `plan.ts`; what a store has
 * lost is added again in `watchful-load.ts`, and expiries are recorded in `authorize.ts`.
 */

/** Keys that are open, by kid, with the record that each was opened from. */
export type OpenedKeys = Map<string, { readonly record: SerializedKey; readonly key: RingKey }>

/**
 * Opens everything in the store.
 * @param opened keys that were open before, which are not opened again; brought up to date
 * @throws StoreUnavailable, StoreUnreadable, KekMissing, SealBroken. A key that cannot be opened is
 *   an error and never replaced; only a revoked one may stay closed, as nobody needs it.
 */
export async function loadRings(
  store: KeyStore,
  sealer: Sealer,
  opened: OpenedKeys = new Map(),
): Promise<RingFacts<RingKey>> {
  const { keys: records, events } = await store.load()
  const keys = await Promise.all(
    records.map(async (record) => {
      const known = opened.get(record.id)
      if (known && isDeepStrictEqual(known.record, record)) return known.key
      try {
        const key = await sealer.open(record)
        opened.set(record.id, { record, key })
        return key
      } catch (error) {
        const closed = closedKey(record)
        if (events.some((event) => isRevocationOf(event, closed))) return closed
        throw error
      }
    }),
  )
  const live = new Set(records.map((record) => record.id))
  for (const id of opened.keys()) if (!live.has(id)) opened.delete(id)
  return { keys, events }
}

export interface Turn {
  readonly facts: RingFacts<RingKey>
  /** What could not be planned and why. */
  readonly warnings: readonly string[]
}

/**
 * Does what the plan says at `now`, as far as `mayDo` allows, and loads the rings again where it did
 * anything. Nodes and commands may do it at once: every action is safe to do twice.
 * @throws what `loadRings` throws
 */
export async function turnRings(
  facts: RingFacts<RingKey>,
  { store, sealer, policies, opened, now, mayDo, onDone }: TurnOptions,
): Promise<Turn> {
  const { actions, warnings } = plan(facts, policies, now)
  const allowed = actions.filter(mayDo)
  for (const action of allowed) {
    const isOurs = await applyAction(action, facts, { store, sealer })
    onDone?.(action, isOurs)
  }
  return {
    facts: allowed.length === 0 ? facts : await loadRings(store, sealer, opened),
    warnings,
  }
}

export interface TurnOptions {
  readonly store: KeyStore
  readonly sealer: Sealer
  readonly policies: RotationPolicies
  readonly opened?: OpenedKeys
  readonly now: number
  readonly mayDo: (action: Action) => boolean
  readonly onDone?: (action: Action, isOurs: boolean) => void
}

/**
 * Does one action of a plan. Safe to do twice and on several nodes at once: (ring, generation) is
 * unique, an erasure only takes away, events have names.
 * @returns false where another node had made the key
 */
export async function applyAction(
  action: Action,
  facts: RingFacts<RingKey>,
  { store, sealer }: { store: KeyStore; sealer: Sealer },
): Promise<boolean> {
  switch (action.type) {
    case 'create': {
      const { type, reason, ...planned } = action
      const { kid, jwk } = await generateKey(planned.algorithm)
      // Another node may have made this generation first; its key is as good as ours.
      const stored = await store.addKey(await sealer.seal({ ...planned, kid }, jwk))
      return stored.id === kid
    }
    case 'record':
      await store.addEvents([action.event])
      return true
    case 'erase': {
      const key = facts.keys.find((candidate) => candidate.kid === action.kid)
      if (key) await store.eraseKey(await sealer.erase(key))
      return true
    }
    case 'delete':
      await store.removeKey(action.kid)
      return true
  }
}
