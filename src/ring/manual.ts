import { toRfc3339 } from '../clock.ts'
import { passedDuration } from '../values/duration-text.ts'
import type { RingName } from './key.ts'
import {
  activeKey,
  type KeyState,
  type RingFacts,
  ringStates,
  successorDueAt,
} from './lifecycle.ts'
import type { RingPolicy, RotationPolicies } from './policy.ts'

/**
 * Steps that an operator has to take for rings that are turned by hand, and when each is safe.
 * Pure.
 */

export interface ManualStep {
  readonly ring: RingName
  /**
   * Add a key that signs, add its successor, let the successor sign, or wait until a key leaves the
   * JWKS.
   */
  readonly step: 'add-active' | 'add-standby' | 'promote' | 'wait'
  /** Null if the step adds a key. */
  readonly kid: string | null
  /**
   * Instant from which the step is safe; for `add-standby` the instant by which it should be done.
   */
  readonly at: number
  readonly reason: string
}

/** The steps of all rings, those of each ring in order of time. */
export function manualSteps(
  facts: RingFacts,
  { rings }: Pick<RotationPolicies, 'rings'>,
  now: number,
): readonly ManualStep[] {
  return rings.flatMap((policy) =>
    policy.manual ? stepsOf(ringStates(facts, policy, now), policy, now) : [],
  )
}

function stepsOf(
  states: readonly KeyState[],
  policy: RingPolicy,
  now: number,
): readonly ManualStep[] {
  const { ring } = policy
  const active = activeKey(states)
  const waiting = states.find(({ phase }) => phase === 'pre-active')
  const leaving = states.flatMap(({ phase, key: { kid }, unpublishAt: at }): ManualStep[] => {
    if (phase !== 'retired' || at === null) return []
    const reason = 'the key stays published until all its tokens have expired'
    return [{ ring, step: 'wait', kid, at, reason }]
  })
  const next = turnOf(active, waiting, policy, now)
  return [next, ...leaving].sort((a, b) => a.at - b.at)
}

function turnOf(
  active: KeyState | undefined,
  waiting: KeyState | undefined,
  policy: RingPolicy,
  now: number,
): ManualStep {
  const { ring, propagation } = policy
  if (waiting) {
    const { kid, createdAt } = waiting.key
    const safeAt = createdAt + propagation
    const reason =
      `it has been published for ${passedDuration(now - createdAt)} of the ${passedDuration(propagation)} that ` +
      `relying parties need${now < safeAt ? `, so it is safe from ${toRfc3339(safeAt)}` : ''}`
    return { ring, step: 'promote', kid, at: Math.max(now, safeAt), reason }
  }
  if (!active) {
    return {
      ring,
      step: 'add-active',
      kid: null,
      at: now,
      reason: 'the ring has no key that signs',
    }
  }
  const dueAt = Math.max(now, successorDueAt(active, policy))
  const reason =
    `key ${active.key.kid} has signed for ${passedDuration(now - active.activatesAt)} of the ` +
    `${passedDuration(policy.cryptoperiod)} that a key is meant to sign, and its successor must be published for ` +
    `${passedDuration(propagation)} before it signs`
  return { ring, step: 'add-standby', kid: null, at: dueAt, reason }
}
