import { TICKS_PER_DAY, TICKS_PER_SECOND, type Ticks } from '../values/ticks.ts'
import { candidateKey, type KeyFacts, nextChangeAt, resolveDefaultKey } from './default-key.ts'

/**
 * When a ring needs a key. ASP.NET Core processes read a ring once a day, and without a default key they
 * protect nothing and open nothing, so a successor must stand there long before it is needed.
 */

export interface RingPolicy {
  /** From the creation of a key to its end, as ASP.NET Core counts it. */
  readonly lifetime: Ticks
  /** A successor is made so long before the ring would be without a default key. */
  readonly lead: Ticks
  /** With less than this left, the keeper is late. */
  readonly notice: Ticks
}

/** As ASP.NET Core's keys live; the week of `notice` leaves a week to make a successor in. */
export const DEFAULT_POLICY: RingPolicy = {
  lifetime: 90n * TICKS_PER_DAY,
  lead: 14n * TICKS_PER_DAY,
  notice: 7n * TICKS_PER_DAY,
}

/** Durations in seconds. */
export interface KeepPolicy {
  /** From the creation of a key to its end: 90 days. */
  readonly lifetime?: number | undefined
  /** A key is made so long before the ring would be without a default key: 14 days. */
  readonly lead?: number | undefined
  /** With less than this left, the keeper is late: 7 days. */
  readonly notice?: number | undefined
}

/** The same in ticks, with what is usual for what is not told. */
export function wholePolicy({ lifetime, lead, notice }: KeepPolicy): RingPolicy {
  const ticks = (seconds: number | undefined, standard: Ticks) =>
    seconds === undefined ? standard : BigInt(seconds) * TICKS_PER_SECOND
  return {
    lifetime: ticks(lifetime, DEFAULT_POLICY.lifetime),
    lead: ticks(lead, DEFAULT_POLICY.lead),
    notice: ticks(notice, DEFAULT_POLICY.notice),
  }
}

export interface RingFacts {
  /** In the order of the store. A key that only this process cannot open counts as usable. */
  readonly keys: readonly KeyFacts[]
  /** Keys created before are revoked. */
  readonly revokedBefore: Ticks | undefined
  /** False where an element cannot be read: it may be the very key that seems to be missing. */
  readonly isWhole: boolean
}

export interface PlannedKey {
  readonly createdAt: Ticks
  readonly activatesAt: Ticks
  readonly expiresAt: Ticks
  /** Its id must be lower than this one. */
  readonly idBelow: string | undefined
}

export interface RingPlan {
  /** The key to make now. */
  readonly make: PlannedKey | undefined
  /** Why none is made although one is due. */
  readonly blocked: 'elements_unreadable' | 'revoked_in_the_future' | undefined
  /** The ring as it is has no default key from this instant; not after `now` where it has none. */
  readonly endsAt: Ticks
  /** A key is due from this instant. */
  readonly dueAt: Ticks
  /** The keeper is late from this instant, unless a key is made before. */
  readonly lateAt: Ticks
  readonly late: boolean
}

/** Decides; it does nothing. Once the key is there, the same question is answered with none. */
export function planKeyRing(facts: RingFacts, policy: RingPolicy, now: Ticks): RingPlan {
  const endsAt = findEnd(facts.keys, now)
  const dueAt = endsAt - policy.lead
  const lateAt = endsAt - policy.notice
  const common = { endsAt, dueAt, lateAt, late: now >= lateAt }
  if (now < dueAt) return { ...common, make: undefined, blocked: undefined }
  const blocked = findObstacle(facts, now)
  if (blocked) return { ...common, make: undefined, blocked }

  const make = {
    createdAt: now,
    expiresAt: now + policy.lifetime,
    ...findPlace(facts.keys, endsAt),
  }
  return { ...common, blocked, make }
}

/** @throws TypeError for a policy by which keys would be made without end, or too late */
export function checkPolicy(policy: RingPolicy): void {
  const [broken] = brokenPolicy(policy)
  if (broken) throw new TypeError(`${broken.setting} is ${broken.expected}: ${broken.message}`)
}

/** A duration of a policy by which keys would be made without end, or too late. */
export interface BrokenPolicy {
  readonly setting: keyof RingPolicy
  /** Ends the sentence "it must be ...". */
  readonly expected: string
  readonly message: string
}

/** Everything that is wrong with a policy. */
export function brokenPolicy({ lifetime, lead, notice }: RingPolicy): readonly BrokenPolicy[] {
  const broken: BrokenPolicy[] = []
  if (lifetime < 7n * TICKS_PER_DAY) {
    const message = 'ASP.NET Core refuses to live with keys that live for less than a week'
    broken.push({ setting: 'lifetime', expected: 'at least 7d', message })
  }
  if (lead * 2n > lifetime) {
    const message = 'a key that is made so early protects for less time than it waits'
    broken.push({ setting: 'lead', expected: 'at most half of lifetime', message })
  }
  if (notice >= lead) {
    const message = 'the keeper would be late before a key is due'
    broken.push({ setting: 'notice', expected: 'less than lead', message })
  }
  if (notice < 2n * TICKS_PER_DAY) {
    const message = 'applications read a ring once a day, and ASP.NET Core allows them two days'
    broken.push({ setting: 'notice', expected: 'at least 2d', message })
  }
  return broken
}

/** The first instant, from now on, at which there is no default key. */
function findEnd(keys: readonly KeyFacts[], now: Ticks): Ticks {
  let at = now
  while (resolveDefaultKey(keys, at).key !== null) {
    const next = nextChangeAt(keys, at)
    // A default key ends, and its end is a change.
    if (next === undefined) return at
    at = next
  }
  return at
}

/**
 * A key begins at the end of the one before. Where a revoked or damaged key is in the way, which no earlier
 * one can replace, it begins at the same instant as that and has a lower id, by which ASP.NET Core prefers it.
 */
function findPlace(
  keys: readonly KeyFacts[],
  endsAt: Ticks,
): Pick<PlannedKey, 'activatesAt' | 'idBelow'> {
  const candidate = candidateKey(keys, endsAt)
  if (candidate && candidate.activatesAt >= endsAt) {
    return { activatesAt: candidate.activatesAt, idBelow: candidate.id }
  }
  return { activatesAt: endsAt, idBelow: undefined }
}

function findObstacle({ isWhole, revokedBefore }: RingFacts, now: Ticks): RingPlan['blocked'] {
  if (!isWhole) return 'elements_unreadable'
  // A key that is made now would be revoked from the beginning, and still be protected with.
  if (revokedBefore !== undefined && revokedBefore > now) return 'revoked_in_the_future'
  return undefined
}
