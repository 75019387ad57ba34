import { TICKS_PER_DAY, TICKS_PER_SECOND, type Ticks } from '../values/ticks.ts'
import { candidateKey, type KeyFacts, nextChangeAt, resolveDefaultKey } from './default-key.ts'

/**
 * Plan of a ring's keys. ASP.NET Core processes read a ring once a day. Without a default key they
 * protect and open nothing, so a successor must be in the ring long before it is needed.
 */

export interface RingPolicy {
  /** Time from the creation of a key to its expiry, as ASP.NET Core counts it. */
  readonly lifetime: Ticks
  /**
   * Time between the making of a successor and the instant at which the ring would lack a default
   * key.
   */
  readonly lead: Ticks
  /** Time left from which the keeper is late. */
  readonly notice: Ticks
}

/**
 * Default policy, with the lifetime of ASP.NET Core. The `notice` leaves a week to make a
 * successor.
 */
export const DEFAULT_POLICY: RingPolicy = {
  lifetime: 90n * TICKS_PER_DAY,
  lead: 14n * TICKS_PER_DAY,
  notice: 7n * TICKS_PER_DAY,
}

/** Policy with durations in seconds. */
export interface KeepPolicy {
  /** Time from the creation of a key to its expiry. Default: 90 days. */
  readonly lifetime?: number | undefined
  /**
   * Time between the making of a successor and the instant at which the ring would lack a default
   * key. Default: 14 days.
   */
  readonly lead?: number | undefined
  /** Time left from which the keeper is late. Default: 7 days. */
  readonly notice?: number | undefined
}

/** Converts a policy to ticks and applies the defaults. */
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
  /** Keys in the order of the store. A key that only this process cannot open counts as usable. */
  readonly keys: readonly KeyFacts[]
  /** Instant; keys created before it are revoked. */
  readonly revokedBefore: Ticks | undefined
  /** False if an element cannot be read, because that may be the key that seems to be missing. */
  readonly isWhole: boolean
}

export interface PlannedKey {
  readonly createdAt: Ticks
  readonly activatesAt: Ticks
  readonly expiresAt: Ticks
  /** Upper bound of the key's id. */
  readonly idBelow: string | undefined
}

export interface RingPlan {
  /** Key to make now. */
  readonly make: PlannedKey | undefined
  /** Reason why a key that is due is not made. */
  readonly blocked: 'elements_unreadable' | 'revoked_in_the_future' | undefined
  /**
   * Instant from which the present ring has no default key; not after `now` if it has none already.
   */
  readonly endsAt: Ticks
  /** Instant from which a key is due. */
  readonly dueAt: Ticks
  /** Instant from which the keeper is late, unless a key is made before. */
  readonly lateAt: Ticks
  readonly late: boolean
}

/**
 * Decides which key to make, without making it. Once the key is in the ring, the plan makes none.
 */
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

/**
 * Checks a policy.
 * @throws TypeError for a policy by which keys would be made without end, or too late
 */
export function checkPolicy(policy: RingPolicy): void {
  const [broken] = brokenPolicy(policy)
  if (broken) throw new TypeError(`${broken.setting} is ${broken.expected}: ${broken.message}`)
}

/** A duration of a policy by which keys would be made without end, or too late. */
export interface BrokenPolicy {
  readonly setting: keyof RingPolicy
  /** End of the sentence "it must be ...". */
  readonly expected: string
  readonly message: string
}

/** Lists everything that is wrong with a policy. */
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

/** First instant, from now on, at which there is no default key. */
function findEnd(keys: readonly KeyFacts[], now: Ticks): Ticks {
  let at = now
  while (resolveDefaultKey(keys, at).key !== null) {
    const next = nextChangeAt(keys, at)
    // A default key expires, and its expiry is a change.
    if (next === undefined) return at
    at = next
  }
  return at
}

/**
 * Decides when a new key activates: at the end of the key before it. If a revoked or damaged key is
 * in the way, which no key with an earlier activation can replace, the new key activates at the
 * same instant and has a lower id, so that ASP.NET Core prefers it.
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
  // A key that is made now would be revoked from the beginning, but would still be used to protect.
  if (revokedBefore !== undefined && revokedBefore > now) return 'revoked_in_the_future'
  return undefined
}
