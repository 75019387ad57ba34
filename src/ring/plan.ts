import { type Action, assume, type CreateAction } from './action.ts'
import { keyEvent, NEVER } from './key.ts'
import {
  activeKey,
  eraseAt,
  type KeyState,
  meantUntil,
  publishedCount,
  type RingFacts,
  ringNames,
  ringStates,
  successorDueAt,
} from './lifecycle.ts'
import { PUBLISHED_KEYS_MAX, type RingPolicy, type RotationPolicies } from './policy.ts'

/**
 * Plans what should be done to the rings at an instant, as plain values; `rotate.ts` does it. Pure,
 * like `lifecycle.ts`.
 */

export interface Plan {
  readonly actions: readonly Action[]
  /** Steps that cannot be planned, each with its reason, for the log, readiness and `keys plan`. */
  readonly warnings: readonly string[]
}

/**
 * Everything that should be done at `now`. The plan is complete: applied as a whole, the next plan
 * for the same instant is empty.
 *
 * @example
 * plan({ keys: [], events: [] }, policies, now).actions
 * // create generation 1 (active at once) and generation 2 (standby), for each configured ring
 */
export function plan(facts: RingFacts, policies: RotationPolicies, now: number): Plan {
  const actions: Action[] = []
  const warnings: string[] = []
  const firstStart = isFirstStart(facts, policies, now)
  let assumed: RingFacts = facts
  for (const ring of ringNames(facts, policies)) {
    const policy = policies.policyFor(ring)
    // Every action brings the ring closer to an empty plan; the bound only guards against an
    // endless loop.
    for (let left = 10 + 3 * facts.keys.length; ; left--) {
      if (left === 0) throw new Error(`the plan for ring ${ring} does not come to an end`)
      const step = nextAction(assumed, { policy, policies, firstStart }, now)
      if (!step) break
      if (typeof step === 'string') {
        warnings.push(step)
        break
      }
      actions.push(step)
      assumed = assume(assumed, step)
    }
  }
  return { actions, warnings }
}

/**
 * True on a first start: no RP has a cached JWKS, so no key has to wait until RPs know it. An
 * interrupted first start continues as one: rings without a key get one that signs at once, as long
 * as all existing keys were made within `maxRingAge`.
 */
function isFirstStart({ keys }: RingFacts, { rings }: RotationPolicies, now: number): boolean {
  const window = Math.min(...rings.map((ring) => ring.maxRingAge))
  // Imported keys that only verify do not tell the age of this system.
  const own = keys.filter((key) => !key.verifiesOnly)
  return own.every((key) => key.generation <= 2 && Math.abs(now - key.createdAt) < window)
}

interface Scope {
  readonly policy: RingPolicy
  readonly policies: RotationPolicies
  readonly firstStart: boolean
}

/** The next action for one ring; a string tells what cannot be done and why. */
function nextAction(facts: RingFacts, scope: Scope, now: number): Action | string | undefined {
  const { policy } = scope
  const states = ringStates(facts, policy, now)
  const active = activeKey(states)
  if (policy.configured) {
    const turn = policy.manual ? undefined : turnOf(active, states, facts, scope, now)
    if (turn) return turn
    const extension = active && extend(active, policy, now)
    if (extension) return extension
  }
  return tidy(states, policy, now)
}

function turnOf(
  active: KeyState | undefined,
  states: readonly KeyState[],
  facts: RingFacts,
  scope: Scope,
  now: number,
): Action | string | undefined {
  return active ? succeed(active, states, facts, scope, now) : begin(states, facts, scope, now)
}

/**
 * The next action for a ring without an active key, because it is new or its active key was
 * revoked.
 */
function begin(
  states: readonly KeyState[],
  facts: RingFacts,
  scope: Scope,
  now: number,
): Action | undefined {
  const { policy, firstStart } = scope
  const { ring, clockSkew, propagation } = policy
  const wasRevoked = states.some(
    ({ key, revokedAt, activatesAt }) =>
      !key.verifiesOnly && revokedAt !== null && revokedAt >= activatesAt,
  )
  const standby = states.find((state) => state.phase === 'pre-active')

  if (standby) {
    // After a revocation the standby signs at once. Otherwise a late promotion is safe, an early
    // one is not.
    const activatesAt = wasRevoked ? now : Math.max(now, standby.key.createdAt + propagation)
    if (activatesAt >= standby.activatesAt) return undefined
    const reason = wasRevoked
      ? 'the active key was revoked and this is the oldest standby'
      : 'the ring has no active key and this is the oldest standby'
    const { kid } = standby.key
    const actor = 'keyturn'
    const event = keyEvent({ type: 'promote', ring, kid, activatesAt, at: now, reason, actor })
    return { type: 'record', ring, event, reason }
  }
  const create = (delay: number, reason: string) =>
    createAction(states, facts, { policy, now, delay, reason })
  // Backdated, so that a node whose clock is behind agrees that the key may sign.
  if (firstStart) return create(-2 * clockSkew, 'this is the first start, and no RP has a JWKS yet')
  if (wasRevoked) return create(0, 'the active key was revoked and no standby was left')
  if (!policy.published) return create(-2 * clockSkew, 'the ring is new')
  return create(propagation, 'the ring is new and RPs must see its key first')
}

/** The action that gives a ring with an active key its successor, unless it has one. */
function succeed(
  active: KeyState,
  states: readonly KeyState[],
  facts: RingFacts,
  scope: Scope,
  now: number,
): Action | string | undefined {
  const { policy, policies } = scope
  // An RP that refetches only for an unknown kid trusts a revoked key until it sees a new kid, and
  // a key made before the revocation is not new to it.
  const revokedAt = policy.published ? lastRevokedAt(states) : -Infinity
  const mustFlush = active.key.createdAt < revokedAt
  const successors = states.filter(
    (s) => s.phase === 'pre-active' && (!mustFlush || s.key.createdAt >= revokedAt),
  )
  if (successors.length > 0) return promoteWaiting(active, successors, policy, now)
  if (!mustFlush && !policy.standby && now < successorDueAt(active, policy)) return undefined

  if (policy.published && publishedCount(facts, policies, now) >= PUBLISHED_KEYS_MAX) {
    return (
      `Ring ${policy.ring} gets no successor yet: ${PUBLISHED_KEYS_MAX} keys are published, the ` +
      'most that RPs and load balancers accept. The active key keeps signing until one leaves.'
    )
  }
  if (mustFlush) {
    const reason = 'a key was revoked and RPs drop it when they meet a kid they do not know'
    return createAction(states, facts, { policy, now, delay: policy.propagation, reason })
  }
  const planned = meantUntil(active, policy) - now
  const delay = Math.max(policy.propagation, planned)
  const reason = 'the active key needs a successor'
  return createAction(states, facts, { policy, now, delay, reason })
}

/**
 * Promotes a key that was added while the ring was turned by hand, because nobody else would
 * promote it now that the ring turns by itself.
 */
function promoteWaiting(
  active: KeyState,
  successors: readonly KeyState[],
  policy: RingPolicy,
  now: number,
): Action | undefined {
  const { ring, propagation } = policy
  const [first] = successors
  if (!first || successors.some(({ activatesAt }) => activatesAt < NEVER)) return undefined
  const { kid, createdAt } = first.key
  const activatesAt = Math.max(now, meantUntil(active, policy), createdAt + propagation)
  const reason = 'the ring turns by itself, and this key waits to be promoted'
  const actor = 'keyturn'
  const event = keyEvent({ type: 'promote', ring, kid, activatesAt, at: now, reason, actor })
  return { type: 'record', ring, event, reason }
}

/**
 * Records a longer retention for the active key before it signs longer tokens, if token lifetimes
 * were raised since it was made.
 */
function extend(active: KeyState, policy: RingPolicy, now: number): Action | undefined {
  const { ring, retention } = policy
  const recorded = active.recordedRetention
  if (recorded >= retention) return undefined
  const reason = `the configured retention rose from ${recorded}s to ${retention}s`
  const { kid } = active.key
  const event = keyEvent({
    type: 'extend',
    ring,
    kid,
    retention,
    at: now,
    reason,
    actor: 'keyturn',
  })
  return { type: 'record', ring, event, reason }
}

/** Erases a private half that no longer signs, or deletes a record whose life is over. */
function tidy(states: readonly KeyState[], policy: RingPolicy, now: number): Action | undefined {
  const { ring } = policy
  // Oldest first: a later key may be what keeps an earlier one retired.
  const oldest = states[0]
  if (oldest?.deleteAt != null && now >= oldest.deleteAt) {
    return { type: 'delete', ring, kid: oldest.key.kid, reason: 'its archive time is over' }
  }
  // A symmetric key has no public half that could still verify after an erasure.
  if (!policy.published) return undefined
  const spent = states.find((state) => {
    const at = eraseAt(state, policy)
    return state.key.hasPrivateHalf && at !== null && now >= at
  })
  if (!spent) return undefined
  const reason = spent.phase === 'revoked' ? 'it was revoked' : 'it has retired'
  return { type: 'erase', ring, kid: spent.key.kid, reason }
}

/**
 * Makes the next generation, which signs from `delay` seconds after its creation. It counts as
 * created after every recorded revocation, even if the clock was set back since, and its number was
 * never seen before, even if the store was set back.
 */
export function createAction(
  states: readonly KeyState[],
  facts: Pick<RingFacts, 'seenGenerations'>,
  { policy, now, delay, reason }: CreateOptions,
): CreateAction {
  const { ring, algorithm, retention } = policy
  const generation = nextGeneration(states, facts.seenGenerations?.[ring] ?? 0)
  const createdAt = Math.max(now, lastRevokedAt(states))
  const activatesAt = createdAt + delay
  return { type: 'create', ring, generation, algorithm, createdAt, activatesAt, retention, reason }
}

/**
 * The next free generation. A record that does not open blocks its own generation only, whatever
 * number it claims.
 */
export function nextGeneration(states: readonly KeyState[], seen: number): number {
  const taken = new Set(states.map(({ key }) => key.generation))
  const placed = states.filter(({ key }) => !key.isUnplaced).map(({ key }) => key.generation)
  let next = Math.max(seen, ...placed) + 1
  while (taken.has(next)) next += 1
  return next
}

export interface CreateOptions {
  readonly policy: RingPolicy
  readonly now: number
  /** Seconds from the creation of the key until it may sign; negative for a backdated key. */
  readonly delay: number
  readonly reason: string
}

function lastRevokedAt(states: readonly KeyState[]): number {
  return Math.max(-Infinity, ...states.flatMap((state) => state.revokedAt ?? []))
}
