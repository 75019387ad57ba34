import type { StoredRings } from './key-store.ts'
import type { KeyState } from './lifecycle.ts'
import type { RotationPolicies } from './policy.ts'

/**
 * Records that a store has lost, because a database failed over to a replica that lagged behind, or
 * was set back to a backup, while nodes were running that still have them. Facts are never
 * rewritten, so a node that has a fact may add it again. Pure.
 */

export interface LostOptions {
  /** States of the known keys at `now`. */
  readonly states: readonly KeyState[]
  readonly policies: RotationPolicies
  /** Seconds since the epoch. */
  readonly now: number
}

/**
 * Finds the records to add again.
 * @param known records as this node last loaded them
 * @param loaded ids of genuine records in the store now; an event that was edited there is lost
 * @returns records of keys that RPs may still need, and all lost events, because no event is ever
 * deleted
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
    // A node with another policy, or with a clock that is ahead, may have deleted the key on
    // schedule.
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

/** The union of both, each id once; of two records with the same id, the known one. */
export function together<T extends { readonly id: string }>(
  known: readonly T[],
  added: readonly T[],
): readonly T[] {
  const ids = new Set(known.map(({ id }) => id))
  return [...known, ...added.filter(({ id }) => !ids.has(id))]
}
