import { type KeyEvent, type KeyFacts, NEVER, type RingName } from './key.ts'
import type { RingPolicy, RotationPolicies } from './policy.ts'

/**
 * THE CORE. The life of keys as pure functions of (keys, events, policy, now): no function here
 * reads a clock, a store or a random number. Phases are derived, never stored, so activation and
 * retirement need no writes: no node can miss them, and nodes disagree about them for no longer
 * than their clocks differ.
 */

/**
 * - `pre-active`: published, does not sign yet
 * - `active`: published, signs; at most one per ring
 * - `retired`: published, only verifies
 * - `archived`: no longer published; its public half still verifies `id_token_hint`
 * - `revoked`: never trusted again
 */
export type Phase = 'pre-active' | 'active' | 'retired' | 'archived' | 'revoked'

/**
 * A key with everything that follows from the facts. An instant is null if nothing determines it.
 */
export interface KeyState<K extends KeyFacts = KeyFacts> {
  readonly key: K
  readonly phase: Phase
  /** Effective activation: as planned at creation, or earlier by promotion. */
  readonly activatesAt: number
  /** The earliest effective activation among later generations. */
  readonly retiresAt: number | null
  /**
   * Instant at which its last token expires and the key leaves the JWKS; null for a revoked key.
   */
  readonly unpublishAt: number | null
  /** Instant at which the record is deleted. */
  readonly deleteAt: number | null
  readonly revokedAt: number | null
  /** Recorded seconds for which the key stays published once retired; the policy may be longer. */
  readonly recordedRetention: number
  /** Latest recorded expiry of its tokens; null while its retention covers all of them. */
  readonly validUntil: number | null
}

/** All rings in one value, as loaded from a store. */
export interface RingFacts<K extends KeyFacts = KeyFacts> {
  readonly keys: readonly K[]
  readonly events: readonly KeyEvent[]
  /**
   * Highest generations that a witness has seen (`witness.ts`), because a store that was set back
   * must not make another key of the same generation.
   */
  readonly seenGenerations?: Readonly<Record<RingName, number>>
}

/**
 * The state of every key of one ring at `now`, in order of generation.
 *
 * A key retires when a later generation activates, so there is never more than one active key. A
 * revoked key keeps its place in that order if it had been active, so that its revocation does not
 * make an older key active again. A key that was revoked before it could sign does not count.
 */
export function ringStates<K extends KeyFacts>(
  facts: RingFacts<K>,
  policy: RingPolicy,
  now: number,
): readonly KeyState<K>[] {
  const keys = facts.keys
    .filter((key) => key.ring === policy.ring)
    .sort((a, b) => a.generation - b.generation)
  const lives = keys.map((key) => lifeOf(key, facts.events))

  const states: Omit<KeyState<K>, 'phase'>[] = []
  let successor: Life<K> | undefined
  for (const life of lives.reverse()) {
    states.unshift(instantsOf(life, successor, policy))
    const hadItsPlace = life.revokedAt === null || life.revokedAt >= life.activatesAt
    const counts = hadItsPlace && !life.key.isUnplaced && !life.key.verifiesOnly
    if (counts && (!successor || life.activatesAt < successor.activatesAt)) successor = life
  }

  const ringNow = ringTime(states, now)
  return states.map((state) => ({ ...state, phase: phaseAt(state, ringNow) }))
}

/** The key of the ring that signs at the instant of the states. */
export function activeKey<K extends KeyFacts>(
  states: readonly KeyState<K>[],
): KeyState<K> | undefined {
  return states.find((state) => state.phase === 'active')
}

/** True if the key is in the JWKS, provided that its ring is published. */
export function isPublished(state: KeyState): boolean {
  return state.phase === 'pre-active' || state.phase === 'active' || state.phase === 'retired'
}

/** Names of all rings: the configured ones in order, then those that only the store has. */
export function ringNames(facts: RingFacts, policies: RotationPolicies): readonly RingName[] {
  return [
    ...new Set([...policies.rings.map((p) => p.ring), ...facts.keys.map((key) => key.ring).sort()]),
  ]
}

/** The states of all rings at `now`, in ring and generation order. */
export function allStates<K extends KeyFacts>(
  facts: RingFacts<K>,
  policies: RotationPolicies,
  now: number,
): readonly KeyState<K>[] {
  return ringNames(facts, policies).flatMap((ring) =>
    ringStates(facts, policies.policyFor(ring), now),
  )
}

/** Number of keys in the JWKS, over all published rings. */
export function publishedCount(facts: RingFacts, policies: RotationPolicies, now: number): number {
  return allStates(facts, policies, now).filter(
    (state) => isPublished(state) && policies.policyFor(state.key.ring).published,
  ).length
}

/** First instant after `now` at which any phase or plan can change; null if there is none. */
export function nextChangeAt(
  facts: RingFacts,
  policies: RotationPolicies,
  now: number,
): number | null {
  return earliestAfter(now, instantsOfChange(facts, policies, now, 'any'))
}

/**
 * First instant after `now` at which the published set can change. No HTTP cache may keep a JWKS
 * beyond it.
 */
export function nextPublishedChangeAt(
  facts: RingFacts,
  policies: RotationPolicies,
  now: number,
): number | null {
  return earliestAfter(now, instantsOfChange(facts, policies, now, 'published'))
}

/** Instant from which no node whose clock is within the skew still signs with the private half. */
export function eraseAt(state: KeyState, policy: RingPolicy): number | null {
  if (state.revokedAt !== null) return state.revokedAt
  return state.retiresAt === null ? null : state.retiresAt + 2 * policy.clockSkew
}

/**
 * True if the key could leave the JWKS before a token expires that it signs at `now`, because
 * lifetimes break the policy or a clock is wrong. The expiry must then be recorded.
 */
export function wouldOutlive(
  state: KeyState,
  { clockSkew }: RingPolicy,
  { expiresAt, now }: { expiresAt: number; now: number },
): boolean {
  const retiresAt = Math.min(now, state.retiresAt ?? now)
  const unpublishAt = retiresAt + state.recordedRetention
  return expiresAt > Math.max(unpublishAt - clockSkew, state.validUntil ?? 0)
}

/** Planned end of the time in which the key signs, if nobody orders a switch before. */
export function meantUntil(
  { key, activatesAt }: Pick<KeyState, 'key' | 'activatesAt'>,
  { cryptoperiod }: Pick<RingPolicy, 'cryptoperiod'>,
): number {
  return key.signsUntil ?? activatesAt + cryptoperiod
}

/** Instant at which a ring without standby makes the successor of its active key. */
export function successorDueAt(active: KeyState, policy: RingPolicy): number {
  return meantUntil(active, policy) - policy.propagation
}

/** True if the event revokes the key. A revocation by date spares keys created after it. */
export function isRevocationOf(
  event: KeyEvent,
  key: Pick<KeyFacts, 'kid' | 'ring' | 'createdAt'>,
): boolean {
  if (event.type === 'revoke') return event.kid === key.kid
  if (event.type !== 'revoke-before' || event.ring !== key.ring) return false
  return key.createdAt < Math.min(event.createdBefore, event.at)
}

interface Life<K extends KeyFacts = KeyFacts> {
  readonly key: K
  readonly activatesAt: number
  /** Instant from which the store has this activation; a node may not know it for `maxRingAge`. */
  readonly knownAt: number
  readonly revokedAt: number | null
  readonly recordedRetention: number
  readonly validUntil: number | null
}

function lifeOf<K extends KeyFacts>(key: K, events: readonly KeyEvent[]): Life<K> {
  let { activatesAt, createdAt: knownAt, retention: recordedRetention } = key
  let revokedAt: number | null = null
  let validUntil: number | null = null
  for (const event of events) {
    if (isRevocationOf(event, key)) revokedAt = Math.min(event.at, revokedAt ?? event.at)
    if (!('kid' in event) || event.kid !== key.kid) continue
    if (event.type === 'promote' && event.activatesAt < activatesAt) {
      activatesAt = event.activatesAt
      knownAt = event.at
    }
    if (event.type === 'extend') recordedRetention = Math.max(recordedRetention, event.retention)
    if (event.type === 'valid-until') validUntil = Math.max(event.validUntil, validUntil ?? 0)
  }
  return { key, activatesAt, knownAt, revokedAt, recordedRetention, validUntil }
}

function instantsOf<K extends KeyFacts>(
  { key, activatesAt, revokedAt, recordedRetention, validUntil }: Life<K>,
  successor: Life | undefined,
  policy: RingPolicy,
): Omit<KeyState<K>, 'phase'> {
  if (key.verifiesOnly && revokedAt === null) {
    // The import set when the key leaves, so the policy of keys that sign here does not apply.
    const end = activatesAt + recordedRetention
    const unpublishAt = Math.max(end, validUntil === null ? end : validUntil + policy.clockSkew)
    const deleteAt = unpublishAt + policy.archive
    const base = { key, activatesAt, revokedAt, recordedRetention, validUntil }
    return { ...base, retiresAt: activatesAt, unpublishAt, deleteAt }
  }
  const retention = Math.max(recordedRetention, policy.retention)
  const retiresAt = successor?.activatesAt ?? null
  const base = { key, activatesAt, revokedAt, recordedRetention, retiresAt, validUntil }
  if (revokedAt !== null) {
    return { ...base, unpublishAt: null, deleteAt: revokedAt + retention + policy.archive }
  }
  if (!successor) return { ...base, unpublishAt: null, deleteAt: null }

  // A retirement that was planned long ago is known to every node when it comes. A decision at
  // short notice is not: until maxRingAge after it, a node may sign with the old key.
  const lastSignatureAt = Math.max(successor.activatesAt, successor.knownAt + policy.maxRingAge)
  const covered = lastSignatureAt + retention
  const unpublishAt = Math.max(covered, (validUntil ?? 0) + policy.clockSkew)
  return { ...base, unpublishAt, deleteAt: unpublishAt + policy.archive }
}

/**
 * `now`, or a later instant that the facts prove: a private half is erased only after its key has
 * retired, so an earlier clock was set back. The ring stands still until the clock is right again.
 */
function ringTime(states: readonly Omit<KeyState, 'phase'>[], now: number): number {
  return states.reduce(
    (latest, { key, retiresAt, revokedAt }) =>
      key.hasPrivateHalf || key.verifiesOnly || revokedAt !== null || retiresAt === null
        ? latest
        : Math.max(latest, retiresAt),
    now,
  )
}

function phaseAt(state: Omit<KeyState, 'phase'>, now: number): Phase {
  if (state.revokedAt !== null) return 'revoked'
  if (state.unpublishAt !== null && now >= state.unpublishAt) return 'archived'
  if (state.retiresAt !== null && now >= state.retiresAt) return 'retired'
  return now >= state.activatesAt ? 'active' : 'pre-active'
}

function instantsOfChange(
  facts: RingFacts,
  policies: RotationPolicies,
  now: number,
  which: 'any' | 'published',
): readonly (number | null)[] {
  return ringNames(facts, policies).flatMap((ring) => {
    const policy = policies.policyFor(ring)
    if (which === 'published' && !policy.published) return []
    return ringStates(facts, policy, now).flatMap((state) => {
      const turning = policy.configured && !policy.manual && state.revokedAt === null
      // A successor appears when its predecessor activates (standby) or when it is due.
      const published = [
        state.unpublishAt,
        turning && policy.standby ? state.activatesAt : null,
        turning && !policy.standby ? successorDueAt(state, policy) : null,
      ]
      if (which === 'published') return published
      const erase = state.key.hasPrivateHalf ? eraseAt(state, policy) : null
      return [...published, state.activatesAt, state.retiresAt, state.deleteAt, erase]
    })
  })
}

function earliestAfter(now: number, instants: readonly (number | null)[]): number | null {
  const later = instants.flatMap((at) => (at !== null && at > now && at < NEVER ? at : []))
  return later.length === 0 ? null : Math.min(...later)
}
