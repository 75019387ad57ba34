import type { KeyState } from './lifecycle.ts'
import type { RotationPolicies } from './policy.ts'

/**
 * What a store has lost: a database that failed over to a replica which lagged behind, or was set
 * back to a backup, while nodes ran that know better. Facts are never rewritten, so whoever still
 * has one may add it again. Pure.
 */

interface Named {
  readonly id: string
}

/** Records of keys and of events, whatever else they are. */
export interface StoredFacts<K extends Named, E extends Named> {
  readonly keys: readonly K[]
  readonly events: readonly E[]
}

/**
 * @param known as this node last loaded them
 * @param states of the keys known, now
 * @param loaded ids of what is genuine in the store now: an event that was edited there is lost
 * @returns keys that RPs may still need, and all events, as nobody ever deletes one
 */
export function lostFacts<K extends Named, E extends Named>(
  known: StoredFacts<K, E> & { readonly states: readonly KeyState[] },
  loaded: { readonly kids: readonly string[]; readonly events: readonly string[] },
  { policies, now }: { policies: RotationPolicies; now: number },
): StoredFacts<K, E> {
  const kids = new Set(loaded.kids)
  const events = new Set(loaded.events)
  const isNeeded = (kid: string) => {
    const state = known.states.find((candidate) => candidate.key.kid === kid)
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

/** The records of both, each once. */
export function together<T extends Named>(known: readonly T[], added: readonly T[]): readonly T[] {
  const ids = new Set(known.map(({ id }) => id))
  return [...known, ...added.filter(({ id }) => !ids.has(id))]
}
