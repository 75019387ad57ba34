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

/**
 * Cost of an operator's order at relying parties. Pure; a ring that is not published costs nothing.
 */

type NewKey = Pick<KeyFacts, 'ring' | 'createdAt'>

export interface Pricing {
  readonly policies: RotationPolicies
  readonly caching: CachingSettings
  readonly now: number
}

/** Cost of a key that signs at once. */
export function earlyKeyPrice(
  { ring, createdAt }: NewKey,
  { policies, caching, now }: Pricing,
): readonly PromotionPrice[] {
  return policies.policyFor(ring).published ? promotionPrice(now - createdAt, caching) : []
}

/** Instants at which a waiting key could sign before its time, each with its cost. */
export function earlySwitchesOf(
  { ring, createdAt }: NewKey,
  { policies, caching, now }: Pricing,
): readonly EarlySwitch[] {
  const { published, propagation } = policies.policyFor(ring)
  return published ? earlySwitches(now - createdAt, { ...caching, propagation }) : []
}

/**
 * Longest times for which relying parties trust a key of the ring that is revoked now.
 * @param successor key that signs after the revocation. If it is made now, no RP has seen its kid,
 * so RPs that fetch only for an unknown kid drop the revoked key without waiting for a switch
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
