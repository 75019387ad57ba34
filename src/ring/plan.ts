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
 * What should be done to the rings at an instant, as plain values. Deciding is here; doing is in
 * `rotate.ts`. Pure, like `lifecycle.ts`.
 */

export interface Plan {
  readonly actions: readonly Action[]
  /** What could not be planned and why; for the log, readiness and `keys plan`. */
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
    // Every action brings the ring closer to a plan with nothing left; the bound is a seat belt.
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
 * On a first start no RP has a cached JWKS, so nobody has to be waited for. A first start that was
 * interrupted goes on as one: rings that have no key yet get one that signs at once as long as all
 * keys there are were made within `maxRingAge`.
 */
function isFirstStart({ keys }: RingFacts, { rings }: RotationPolicies, now: number): boolean {
  const window = Math.min(...rings.map((ring) => ring.maxRingAge))
  // Keys that only verify were brought along for RPs of another system, and say nothing of this one's age.
  const own = keys.filter((key) => !key.verifiesOnly)
  return own.every((key) => key.generation <= 2 && Math.abs(now - key.createdAt) < window)
}

interface Scope {
  readonly policy: RingPolicy
  readonly policies: RotationPolicies
  readonly firstStart: boolean
}

/** The next thing to do to one ring; a string says what cannot be done and why. */
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

/** A ring with no active key: its beginning, or what is left after a revocation. */
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
    // With the active key revoked there is no time to lose. Otherwise late is safe, early is not.
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
  if (firstStart) return create(-2 * clockSkew, 'first start: no RP has a JWKS to refresh')
  if (wasRevoked) return create(0, 'the active key was revoked and no standby was left')
  if (!policy.published) return create(-2 * clockSkew, 'the ring is new')
  return create(propagation, 'the ring is new and RPs must see its key first')
}

/** A ring with an active key: does it have the successor it should have? */
function succeed(
  active: KeyState,
  states: readonly KeyState[],
  facts: RingFacts,
  scope: Scope,
  now: number,
): Action | string | undefined {
  const { policy, policies } = scope
  // An RP that refetches only for an unknown kid goes on trusting a revoked key until it meets a
  // kid it has never seen; a key made before the revocation is not one.
  const revokedAt = policy.published ? lastRevokedAt(states) : -Infinity
  const mustFlush = active.key.createdAt < revokedAt
  const successors = states.filter(
    (s) => s.phase === 'pre-active' && (!mustFlush || s.key.createdAt >= revokedAt),
  )
  if (successors.length > 0) return whoWaits(active, successors, policy, now)
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

/** A key that was added while the ring was turned by hand waits for an order; now its turn comes as planned. */
function whoWaits(
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
  const reason = 'the ring turns by itself and this key waits for its turn'
  const actor = 'keyturn'
  const event = keyEvent({ type: 'promote', ring, kid, activatesAt, at: now, reason, actor })
  return { type: 'record', ring, event, reason }
}

/** Token lifetimes may have been raised since the active key was made: record it before it signs. */
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

/** Private halves that no longer sign are erased; records whose life is over are deleted. */
function tidy(states: readonly KeyState[], policy: RingPolicy, now: number): Action | undefined {
  const { ring } = policy
  // Oldest first: a later key may be what keeps an earlier one retired.
  const oldest = states[0]
  if (oldest?.deleteAt != null && now >= oldest.deleteAt) {
    return { type: 'delete', ring, kid: oldest.key.kid, reason: 'its archive time is over' }
  }
  // A symmetric key has no public half to go on verifying with.
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
 * The next generation, to sign from `delay` seconds after its creation. It counts as made after
 * every revocation that is already recorded, even if the clock was set back since; and no generation
 * that was ever seen is used again, even if the store was set back.
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

/** A record that does not open may block its own place, and never moves the ring's. */
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
  /** Seconds from its creation until it may sign; negative for a key that is backdated. */
  readonly delay: number
  readonly reason: string
}

function lastRevokedAt(states: readonly KeyState[]): number {
  return Math.max(-Infinity, ...states.flatMap((state) => state.revokedAt ?? []))
}
