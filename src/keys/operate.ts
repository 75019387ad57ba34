import { toRfc3339 } from '../clock.ts'
import { NotFound, Refused } from '../errors.ts'
import { type KeyEvent, type KeyFacts, keyEvent, type RingName } from './key.ts'
import {
  activeKey,
  allStates,
  type KeyState,
  publishedCount,
  type RingFacts,
  ringStates,
} from './lifecycle.ts'
import { type CreateAction, createAction, type EventAction } from './plan.ts'
import { PUBLISHED_KEYS_MAX, type RotationPolicies } from './policy.ts'

/**
 * What an operator may ask of the rings, decided as values; the caller records them and then plans
 * as usual. Pure.
 */

export interface Order {
  readonly actor: string
  readonly reason: string
}

/**
 * Rotates a ring without breaking any RP: the standby signs as soon as it has been published for
 * `propagation`, which with a standby that waits since the last rotation is at once.
 * @throws NotFound, Refused
 */
export function orderRotation(
  facts: RingFacts,
  policies: RotationPolicies,
  { ring, now, ...order }: Order & { ring: RingName; now: number },
): EventAction | CreateAction {
  const policy = policies.policyFor(ring)
  if (!policy.configured) throw new NotFound(unknownRing(ring, policies))
  const states = ringStates(facts, policy, now)
  if (!activeKey(states)) {
    throw new Refused(`Ring ${ring} has no active key to rotate away from. See: keyturn keys list`)
  }
  if (policy.published && publishedCount(facts, policies, now) >= PUBLISHED_KEYS_MAX) {
    const first = Math.min(
      ...allStates(facts, policies, now).flatMap((s) =>
        s.phase === 'retired' ? (s.unpublishAt ?? []) : [],
      ),
    )
    const when = Number.isFinite(first) ? ` The first of them leaves at ${toRfc3339(first)}.` : ''
    throw new Refused(
      `Ring ${ring} is not rotated: ${PUBLISHED_KEYS_MAX} keys are published already, the most ` +
        `that RPs and load balancers accept.${when}`,
    )
  }
  const standby = earliest(states.filter((state) => state.phase === 'pre-active'))
  if (!standby) return createAction(states, policy, now, policy.propagation, order.reason)
  const activatesAt = Math.max(now, standby.key.createdAt + policy.propagation)
  if (activatesAt >= standby.activatesAt) {
    throw new Refused(
      `Ring ${ring} already turns at ${toRfc3339(standby.activatesAt)}, the earliest instant at ` +
        `which RPs are sure to know key ${standby.key.kid}. To take the price of an earlier one: ` +
        `keyturn keys promote ${standby.key.kid} --force`,
    )
  }
  return promotion(standby, activatesAt, now, order)
}

/**
 * Makes one pre-active key sign now.
 * @param force sign even though RPs may not have seen the key; print `price.ts` first
 * @throws NotFound, Refused
 */
export function orderPromotion(
  facts: RingFacts,
  policies: RotationPolicies,
  { kid, force, now, ...order }: Order & { kid: string; force: boolean; now: number },
): EventAction {
  const state = findState(facts, policies, kid, now)
  if (state.phase !== 'pre-active') {
    throw new Refused(`Key ${kid} is ${state.phase}; only a pre-active key can be promoted.`)
  }
  const { propagation } = policies.policyFor(state.key.ring)
  const safeAt = state.key.createdAt + propagation
  if (now < safeAt && !force) {
    throw new Refused(
      `Key ${kid} is published only since ${toRfc3339(state.key.createdAt)}; RPs are sure to know ` +
        `it from ${toRfc3339(safeAt)}. Wait, or take the price with --force.`,
    )
  }
  return promotion(state, now, now, order)
}

/**
 * Never trust a key again. The plan that follows promotes a standby, publishes a fresh key and
 * switches to it one propagation later (`plan.ts`).
 * @returns undefined where the key is revoked already
 * @throws NotFound
 */
export function orderRevocation(
  facts: RingFacts,
  policies: RotationPolicies,
  { kid, now, ...order }: Order & { kid: string; now: number },
): EventAction | undefined {
  const { key, revokedAt } = findState(facts, policies, kid, now)
  if (revokedAt !== null) return undefined
  return record({ type: 'revoke', ring: key.ring, kid: key.kid, at: now, ...order })
}

/**
 * Never again trust any key of a ring that was created strictly before an instant.
 * @throws NotFound, Refused
 */
export function orderRevocationBefore(
  facts: RingFacts,
  policies: RotationPolicies,
  options: Order & { ring: RingName; createdBefore: number; now: number },
): EventAction {
  const { ring, createdBefore, now, reason, actor } = options
  if (!facts.keys.some((key) => key.ring === ring)) throw new NotFound(unknownRing(ring, policies))
  if (createdBefore > now) {
    throw new Refused(
      `${toRfc3339(createdBefore)} is in the future: only keys made so far can be revoked. The ` +
        `latest instant possible is now, ${toRfc3339(now)}.`,
    )
  }
  return record({ type: 'revoke-before', ring, createdBefore, at: now, reason, actor })
}

/**
 * @param kid or the beginning of one that no other key shares, as `keys plan` shows it
 * @throws NotFound
 */
export function findState<K extends KeyFacts>(
  facts: RingFacts<K>,
  policies: RotationPolicies,
  kid: string,
  now: number,
): KeyState<K> {
  const states = allStates(facts, policies, now)
  const alike = states.filter((state) => kid !== '' && state.key.kid.startsWith(kid))
  const [state] = states.filter((candidate) => candidate.key.kid === kid)
  const found = state ?? (alike.length === 1 ? alike[0] : undefined)
  if (found) return found
  const why =
    alike.length > 1 ? `${alike.length} keys begin with ${kid}.` : `There is no key ${kid}.`
  throw new NotFound(`${why} See: keyturn keys list`)
}

function promotion(state: KeyState, activatesAt: number, now: number, order: Order): EventAction {
  const { kid, ring } = state.key
  return record({ type: 'promote', ring, kid, activatesAt, at: now, ...order })
}

function record(event: Parameters<typeof keyEvent>[0]): EventAction {
  const named: KeyEvent = keyEvent(event)
  return { type: 'record', ring: named.ring, event: named, reason: named.reason }
}

function earliest(states: readonly KeyState[]): KeyState | undefined {
  return [...states].sort((a, b) => a.activatesAt - b.activatesAt)[0]
}

function unknownRing(ring: RingName, policies: RotationPolicies): string {
  const names = policies.rings.map((policy) => policy.ring).join(', ')
  return `There is no ring ${ring}. Configured rings: ${names}`
}
