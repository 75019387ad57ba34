import { toRfc3339 } from '../clock.ts'
import { NotFound, Refused } from '../errors.ts'
import type { CreateAction, EventAction } from './action.ts'
import { type KeyEvent, type KeyFacts, type KeyPlace, keyEvent, type RingName } from './key.ts'
import { assertKnown } from './known.ts'
import {
  activeKey,
  allStates,
  type KeyState,
  publishedCount,
  type RingFacts,
  ringNames,
  ringStates,
} from './lifecycle.ts'
import { createAction } from './plan.ts'
import { PUBLISHED_KEYS_MAX, type RotationPolicies } from './policy.ts'

/**
 * Orders of an operator, decided as values, which the caller records before it plans as usual.
 * Pure.
 */

export interface Order {
  readonly actor: string
  readonly reason: string
}

/**
 * Rotates a ring without breaking any RP: the standby signs as soon as it has been published for
 * `propagation`. A standby that has waited since the last rotation signs at once.
 * @throws NotFound, Refused
 */
export function orderRotation(
  facts: RingFacts,
  policies: RotationPolicies,
  { ring, now, ...order }: Order & { ring: RingName; now: number },
): EventAction | CreateAction {
  const policy = policies.policyFor(ring)
  if (!policy.configured) throw unknownRing(ring, policies)
  const states = ringStates(facts, policy, now)
  if (!activeKey(states)) {
    const message = `Ring ${ring} has no active key to rotate away from.`
    throw new Refused('nothing_to_rotate', { ring }, message)
  }
  if (policy.published && publishedCount(facts, policies, now) >= PUBLISHED_KEYS_MAX) {
    const first = Math.min(
      ...allStates(facts, policies, now).flatMap((s) =>
        s.phase === 'retired' ? (s.unpublishAt ?? []) : [],
      ),
    )
    const when = Number.isFinite(first) ? ` The first of them leaves at ${toRfc3339(first)}.` : ''
    throw new Refused(
      'jwks_full',
      { ring, freeAt: Number.isFinite(first) ? first : null },
      `Ring ${ring} is not rotated: ${PUBLISHED_KEYS_MAX} keys are published already, the most ` +
        `that RPs and load balancers accept.${when}`,
    )
  }
  const standby = earliest(states.filter((state) => state.phase === 'pre-active'))
  if (!standby && policy.manual) {
    throw new Refused(
      'ring_manual',
      { ring },
      `Ring ${ring} is turned by hand and has no key that waits, so there is nothing to rotate to.`,
    )
  }
  if (!standby) {
    const { propagation: delay } = policy
    return createAction(states, facts, { policy, now, delay, reason: order.reason })
  }
  const activatesAt = Math.max(now, standby.key.createdAt + policy.propagation)
  if (activatesAt >= standby.activatesAt) {
    throw new Refused(
      'already_turns',
      { ring, kid: standby.key.kid, at: standby.activatesAt },
      `Ring ${ring} already turns at ${toRfc3339(standby.activatesAt)}, the earliest instant at ` +
        `which RPs are sure to know key ${standby.key.kid}.`,
    )
  }
  return promotion(standby, activatesAt, { now, ...order })
}

/**
 * Makes one pre-active key sign now.
 * @param force sign even if RPs may not have seen the key; show the price (`price.ts`) first
 * @throws NotFound, Refused
 */
export function orderPromotion(
  facts: RingFacts,
  policies: RotationPolicies,
  { kid, force, now, ...order }: Order & { kid: string; force: boolean; now: number },
): EventAction {
  const state = findState(facts, policies, kid, now)
  if (state.phase !== 'pre-active') {
    throw new Refused(
      'not_pre_active',
      { kid: state.key.kid, phase: state.phase },
      `Key ${state.key.kid} is ${state.phase}; only a pre-active key can be promoted.`,
    )
  }
  const { kid: whole, createdAt: since, ring } = state.key
  const { propagation } = policies.policyFor(ring)
  if (!force) assertKnown({ kid: whole, since, propagation, now })
  return promotion(state, now, { now, ...order })
}

/**
 * Ends the trust in a key for good. The plan that follows promotes a standby, publishes a fresh key
 * and switches to it one propagation later (`plan.ts`).
 * @returns undefined if the key is revoked already
 * @throws NotFound
 */
export function orderRevocation(
  facts: RingFacts,
  policies: RotationPolicies,
  { kid, now, ...order }: Order & { kid: string; now: number },
): EventAction | undefined {
  const state = findState(facts, policies, kid, now)
  if (state.revokedAt !== null) return undefined
  const { ring, kid: whole } = state.key
  const place = placeOf(state)
  return record({ type: 'revoke', ring, kid: whole, place, at: now, ...order })
}

/**
 * Ends the trust in every key of a ring that was created strictly before an instant.
 * @throws NotFound, Refused
 */
export function orderRevocationBefore(
  facts: RingFacts,
  policies: RotationPolicies,
  options: Order & { ring: RingName; createdBefore: number; now: number },
): EventAction {
  const { ring, createdBefore, now, reason, actor } = options
  if (!facts.keys.some((key) => key.ring === ring)) throw unknownRing(ring, policies)
  if (createdBefore > now) {
    throw new Refused(
      'revocation_in_future',
      { createdBefore, now },
      `${toRfc3339(createdBefore)} is in the future: only keys made so far can be revoked. The ` +
        `latest instant possible is now, ${toRfc3339(now)}.`,
    )
  }
  const places = ringStates(facts, policies.policyFor(ring), now)
    .filter(({ key }) => key.createdAt < createdBefore)
    .flatMap((state) => placeOf(state) ?? [])
  return record({ type: 'revoke-before', ring, createdBefore, places, at: now, reason, actor })
}

/**
 * Accepts that events are missing that other records name and no node has any more.
 * @param missing ids of their records
 */
export function orderAcceptance(
  ring: RingName,
  missing: readonly string[],
  { now, ...order }: Order & { now: number },
): EventAction {
  return record({ type: 'accept', ring, missing, at: now, ...order })
}

/**
 * kids of keys that are trusted according to the facts before, and revoked according to those
 * after.
 * @param after the same keys, with more events
 */
export function newlyRevoked(
  { before, after }: { readonly before: RingFacts; readonly after: RingFacts },
  policies: RotationPolicies,
  now: number,
): readonly string[] {
  const revoked = new Set(
    allStates(after, policies, now).flatMap(({ key, revokedAt }) =>
      revokedAt === null ? [] : key.kid,
    ),
  )
  return allStates(before, policies, now)
    .filter(({ key, revokedAt }) => revokedAt === null && revoked.has(key.kid))
    .map(({ key }) => key.kid)
}

/**
 * The place of a key in its ring, for an event that outlives the key; null if the place may be
 * forged.
 */
function placeOf({ key, activatesAt }: KeyState): KeyPlace | null {
  if (key.isUnplaced) return null
  const { kid, generation, createdAt } = key
  return { kid, generation, createdAt, activatesAt }
}

/**
 * The state of one key.
 * @param kid a kid, or the beginning of one that no other key shares, as `keys plan` shows it
 * @throws NotFound, with the candidates if several keys begin with it
 */
export function findState<K extends KeyFacts>(
  facts: RingFacts<K>,
  policies: RotationPolicies,
  kid: string,
  now: number,
): KeyState<K> {
  const states = allStates(facts, policies, now)
  const stateOf = (found: string) => states.find(({ key }) => key.kid === found)
  const kids = states.map(({ key }) => key.kid)
  const state = stateOf(
    findKid(kid, kids, (candidate) => {
      const { key, phase } = stateOf(candidate) ?? {}
      return key ? `${key.ring}, generation ${key.generation}, ${phase}` : ''
    }),
  )
  if (!state) throw new TypeError('the kid that was found is one of those given')
  return state
}

/**
 * The one kid that is `named`, or begins with it. Dots at the end of a beginning stand for the
 * rest, unless they are part of the kid, which may have come from another system.
 * @param describe details of a candidate besides its kid, for the message
 * @throws NotFound, with the candidates if several kids begin with it
 */
export function findKid(
  named: string,
  kids: readonly string[],
  describe: (kid: string) => string = () => '',
): string {
  if (named === '') throw new NotFound('key_not_named', {}, 'No key is named.')
  if (kids.includes(named)) return named
  const beginning = named.replace(/(\.{3}|…)$/, '')
  const alike = [...new Set(kids)].filter((kid) => kid.startsWith(beginning))
  const [only, ...others] = alike
  if (only === undefined || beginning === '') {
    throw new NotFound('key_not_found', { named }, `There is no key ${named}.`)
  }
  if (others.length === 0) return only
  const shown = alike
    .slice(0, MOST_CANDIDATES)
    .map((kid) => `\n  ${kid}  ${describe(kid)}`.trimEnd())
  const more = alike.length > shown.length ? `\n  and ${alike.length - shown.length} more` : ''
  throw new NotFound(
    'key_ambiguous',
    { named, kids: alike },
    `${alike.length} keys begin with ${beginning}; name one of them by more of its kid:` +
      `${shown.join('')}${more}`,
  )
}

/** @throws NotFound if neither the configuration nor the store has the ring */
export function assertRing(ring: RingName, facts: RingFacts, policies: RotationPolicies): void {
  if (ringNames(facts, policies).includes(ring)) return
  throw unknownRing(ring, policies)
}

/** Most candidates in a message, because a beginning that all keys share would fill a screen. */
const MOST_CANDIDATES = 20

function promotion(
  state: KeyState,
  activatesAt: number,
  { now, ...order }: Order & { readonly now: number },
): EventAction {
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

function unknownRing(ring: RingName, policies: RotationPolicies): NotFound {
  const configured = policies.rings.map((policy) => policy.ring)
  const message = `There is no ring ${ring}. Configured rings: ${configured.join(', ')}.`
  return new NotFound('ring_not_found', { ring, configured }, message)
}
