import type { StoredRings } from './key-store.ts'
import type { KeyState } from './lifecycle.ts'
import type { RotationPolicies } from './policy.ts'

/**
 * What a store has lost: a database that failed over to a replica which lagged behind, or was set
 * back to a backup, while nodes ran that know better. Facts are never rewritten, so whoever still
 * has one may add it again. Pure.
 */

export interface LostOptions {
  /** Of the keys known, at `now`. */
  readonly states: readonly KeyState[]
  readonly policies: RotationPolicies
  /** Seconds since the epoch. */
  readonly now: number
}

/**
 * @param known records as this node last loaded them
 * @param loaded ids of what is genuine in the store now: an event that was edited there is lost
 * @returns records of keys that RPs may still need, and of all events, as nobody ever deletes one
 */
export function lostRecords(
  known: StoredRings,
  loaded: { readonly kids: readonly string[]; readonly events: readonly string[] },
  { states, policies, now }: LostOptions,
): StoredRings {
  const kids = new Set(loaded.kids)
  const events = new Set(loaded.events)
  const isNeeded = (kid: string) => {
    const state = states.find((candidate) => candidate.key.kid === kid)
    if (!state || state.revokedAt !== null) return false
    // A node with another policy, or a clock that is ahead, may have deleted it in good order.
    const { clockSkew } = policies.policyFor(state.key.ring)
    const { retiresAt, recordedRetention, validUntil } = state
    if (retiresAt === null) return true
    const until = Math.max(retiresAt + recordedRetention, validUntil ?? 0)
    return now < until - 2 * clockSkew
  }
  return {
    keys: known.keys.filter(({ id }) => !kids.has(id) && isNeeded(id)),
    events: known.events.filter((event) => !events.has(event.id)),
  }
}

/** All of both, each id once; of two with the same id, the one that was known. */
export function together<T extends { readonly id: string }>(
  known: readonly T[],
  added: readonly T[],
): readonly T[] {
  const ids = new Set(known.map(({ id }) => id))
  return [...known, ...added.filter(({ id }) => !ids.has(id))]
}
