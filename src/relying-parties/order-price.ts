import type { KeyFacts, RingName } from '../ring/key.ts'
import type { RotationPolicies } from '../ring/policy.ts'
import type { Successor } from '../ring/revocation.ts'
import {
  type CachingSettings,
  type EarlySwitch,
  earlySwitches,
  type PromotionPrice,
  promotionPrice,
  type RevocationPrice,
  revocationPrice,
  timeToReach,
} from './price.ts'

/** What an operator's order costs at relying parties. Pure; a ring that is not published costs nothing there. */

type NewKey = Pick<KeyFacts, 'ring' | 'createdAt'>

export interface Pricing {
  readonly policies: RotationPolicies
  readonly caching: CachingSettings
  readonly now: number
}

/** If a key signs now. */
export function earlyKeyPrice(
  { ring, createdAt }: NewKey,
  { policies, caching, now }: Pricing,
): readonly PromotionPrice[] {
  return policies.policyFor(ring).published ? promotionPrice(now - createdAt, caching) : []
}

/** When a key that waits could sign before its time, and what that costs each time. */
export function earlySwitchesOf(
  { ring, createdAt }: NewKey,
  { policies, caching, now }: Pricing,
): readonly EarlySwitch[] {
  const { published, propagation } = policies.policyFor(ring)
  return published ? earlySwitches(now - createdAt, { ...caching, propagation }) : []
}

/**
 * How long relying parties may go on trusting a key of the ring that is revoked now.
 * @param successor who signs then; one that is made now is a kid that nobody has seen, and ends the
 *   trust of those who fetch for such a kid only, without waiting for a switch
 */
export function acceptanceTail(
  ring: RingName,
  { policies, caching }: Omit<Pricing, 'now'>,
  { isMadeNow }: Pick<Successor, 'isMadeNow'> = { isMadeNow: false },
): readonly RevocationPrice[] {
  const { published, propagation } = policies.policyFor(ring)
  const freshAfter = isMadeNow ? timeToReach(caching) : propagation
  return published ? revocationPrice({ ...caching, propagation: freshAfter }) : []
}
