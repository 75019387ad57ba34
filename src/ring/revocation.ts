import { assume, type EventAction } from './action.ts'
import type { KeyFacts, RingName } from './key.ts'
import { activeKey, type KeyState, type RingFacts, ringStates } from './lifecycle.ts'
import {
  findState,
  newlyRevoked,
  type Order,
  orderRevocation,
  orderRevocationBefore,
} from './orders.ts'
import { plan } from './plan.ts'
import type { RotationPolicies } from './policy.ts'

/** Effects of a revocation, decided before it is carried out. Pure. */

export type RevocationTarget =
  | { readonly kid: string }
  /** Every key of the ring that was created before an instant. */
  | { readonly ring: RingName; readonly createdBefore: number }

export interface Revocation {
  readonly ring: RingName
  /** Undefined if the key is revoked already. */
  readonly action: EventAction | undefined
  /** kids of keys that are trusted until the revocation. */
  readonly revoked: readonly string[]
  readonly successor: Successor
}

/** The key that signs once keys of a ring are revoked. */
export interface Successor {
  /** Undefined if no key signs. */
  readonly key: KeyFacts | undefined
  /** True if the key is made by the revocation. */
  readonly isMadeNow: boolean
}

/** Decides a revocation. @throws NotFound; Refused for an instant in the future */
export function decideRevocation(
  target: RevocationTarget,
  before: RingFacts,
  {
    policies,
    now,
    ...order
  }: Order & { readonly policies: RotationPolicies; readonly now: number },
): Revocation {
  const asked = { now, ...order }
  const action =
    'kid' in target
      ? orderRevocation(before, policies, { ...target, ...asked })
      : orderRevocationBefore(before, policies, { ...target, ...asked })
  const ring = 'kid' in target ? findState(before, policies, target.kid, now).key.ring : target.ring
  if (!action) {
    return { ring, action, revoked: [], successor: { key: undefined, isMadeNow: false } }
  }
  const revoked = newlyRevoked({ before, after: assume(before, action) }, policies, now)
  return { ring, action, revoked, successor: successorAfter(action, before, { policies, now }) }
}

function successorAfter(
  action: EventAction,
  before: RingFacts,
  { policies, now }: { readonly policies: RotationPolicies; readonly now: number },
): Successor {
  const ordered = assume(before, action)
  const after = plan(ordered, policies, now).actions.reduce(assume, ordered)
  const key = activeKey(ringStates(after, policies.policyFor(action.ring), now))?.key
  const wasThere = before.keys.some(({ kid }) => kid === key?.kid)
  return { key, isMadeNow: key !== undefined && !wasThere }
}

/** True if relying parties or other nodes may not know the key yet. */
export function isUnseen(
  { ring, createdAt }: Pick<KeyFacts, 'ring' | 'createdAt'>,
  { policies, now }: { readonly policies: RotationPolicies; readonly now: number },
): boolean {
  return now - createdAt < policies.policyFor(ring).propagation
}

/**
 * The key to which a ring switches one propagation after a revocation. The switch ends the trust at
 * RPs that drop a revoked key only when they see a new kid.
 * @param states of the ring after the revocation
 * @returns undefined if the key that signs is new already
 */
export function freshKey<K extends KeyFacts>(
  states: readonly KeyState<K>[],
  { isMadeNow }: Pick<Successor, 'isMadeNow'>,
  at: { readonly policies: RotationPolicies; readonly now: number },
): KeyState<K> | undefined {
  if (isMadeNow) return undefined
  return states.find((state) => state.phase === 'pre-active' && isUnseen(state.key, at))
}
