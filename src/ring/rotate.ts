import type { Action } from './action.ts'
import { generateKey } from './generate.ts'
import type { KeyStore } from './key-store.ts'
import type { LoadedRings } from './loaded-rings.ts'
import type { Sealer } from './sealer.ts'

/** Result of an action. */
export interface Done {
  /** False if another node had made the key. */
  readonly isOurs: boolean
  /** Ids of the newest events after the action. */
  readonly heads: readonly string[]
}

/**
 * Applies one action of a plan (`plan.ts` decides). Safe to do twice and on several nodes at once,
 * because (ring, generation) is unique, an erasure only removes, and an event counts once.
 * @throws StoreUnavailable, KekMissing
 */
export async function applyAction(
  action: Action,
  { keys, heads }: Pick<LoadedRings, 'keys' | 'heads'>,
  { store, sealer }: { readonly store: KeyStore; readonly sealer: Sealer },
): Promise<Done> {
  switch (action.type) {
    case 'create': {
      const { type, reason, ...planned } = action
      const { kid, jwk } = await generateKey(planned.algorithm)
      // Another node may have made this generation first; its key is as good as ours.
      const stored = await store.addKey(await sealer.seal({ ...planned, kid }, jwk, heads))
      return { isOurs: stored.id === kid, heads }
    }
    case 'record': {
      const record = await sealer.sealEvent(action.event, heads)
      await store.addEvents([record])
      return { isOurs: true, heads: [record.id] }
    }
    case 'erase': {
      const key = keys.find((candidate) => candidate.kid === action.kid)
      if (key) await store.eraseKey(await sealer.erase(key, heads))
      return { isOurs: true, heads }
    }
    case 'delete':
      await store.removeKey(action.kid)
      return { isOurs: true, heads }
  }
}
