import { secondsOf, ticksOf } from '../values/ticks.ts'
import { nextChangeAt, resolveDefaultKey } from './default-key.ts'
import { planKeyRing, type RingFacts, type RingPolicy } from './plan.ts'
import type { RingKey } from './ring.ts'

/** Keys of a kept ring with the phases of other rings, and their coming changes. Pure. */

export type KeptKeyPhase =
  | 'pre-active'
  /** ASP.NET Core protects with the key. */
  | 'active'
  /** The key is no longer the default key, or never was, but has not expired. */
  | 'retired'
  | 'revoked'
  /** The key has expired, but still opens the payloads that it protected. */
  | 'archived'

/** State of a key. Instants are seconds since the epoch. */
export interface KeptKeyState {
  readonly id: string
  readonly phase: KeptKeyPhase
  readonly createdAt: number
  readonly activatesAt: number
  readonly expiresAt: number
  /**
   * Instant at which ASP.NET Core stops protecting with the key, because another key follows or the
   * key expires; null for a revoked key.
   */
  readonly retiresAt: number | null
  readonly protectedBy: string | null
}

/** Lists the states of keys in the order in which they activate. */
export function keptKeyStates(keys: readonly RingKey[], now: Date): readonly KeptKeyState[] {
  const at = ticksOf(now)
  const { key: active } = resolveDefaultKey(keys, at)
  const phaseOf = (key: RingKey): KeptKeyPhase => {
    if (key.revoked) return 'revoked'
    if (key.id === active) return 'active'
    if (key.expiresAt <= at) return 'archived'
    return key.activatesAt > at ? 'pre-active' : 'retired'
  }
  const inTurn = keys.toSorted((a, b) => Number(a.activatesAt - b.activatesAt))
  return inTurn.map((key) => {
    const later = inTurn.find(
      ({ activatesAt, revoked }) => !revoked && activatesAt > key.activatesAt,
    )
    const retiresAt = later && later.activatesAt < key.expiresAt ? later.activatesAt : key.expiresAt
    return {
      id: key.id,
      phase: phaseOf(key),
      createdAt: secondsOf(key.createdAt),
      activatesAt: secondsOf(key.activatesAt),
      expiresAt: secondsOf(key.expiresAt),
      retiresAt: key.revoked ? null : secondsOf(retiresAt),
      protectedBy: key.protectedBy ?? null,
    }
  })
}

/** A coming change of a ring. A key that is not made yet has no id. */
export interface KeptRingChange {
  readonly at: number
  readonly type: 'create' | 'activate' | 'retire'
  readonly id: string | null
  /** Activation of a key that is made. */
  readonly activatesAt?: number
}

export interface KeptRingForecast {
  readonly changes: readonly KeptRingChange[]
  /** Reason why a key that is due now is not made. */
  readonly blocked: ReturnType<typeof planKeyRing>['blocked']
  readonly late: boolean
  readonly endsAt: number
}

/** Prefix of the ids of future keys, lower than all other ids, as a replacement's id must be. */
const TO_COME = '!'
/** Most rounds; no ring has so many changes within any forecast. */
const MOST = 2000

/**
 * Forecasts the actions of a keeper and of the ring's readers.
 * @param options until: seconds since the epoch; steps: most instants at which something happens
 */
export function forecastKeptRing(
  facts: RingFacts,
  policy: RingPolicy,
  { now, until, steps }: { readonly now: Date; readonly until: number; readonly steps: number },
): KeptRingForecast {
  const changes: KeptRingChange[] = []
  const idOf = (id: string) => (id.startsWith(TO_COME) ? null : id)
  let keys = facts.keys
  let at = ticksOf(now)
  let active = resolveDefaultKey(keys, at).key
  const first = planKeyRing(facts, policy, at)

  for (let round = 0; round < MOST; round++) {
    const plan = planKeyRing({ ...facts, keys }, policy, at)
    if (plan.make) {
      const id = `${TO_COME}${round}`
      const activatesAt = secondsOf(plan.make.activatesAt)
      changes.push({ at: secondsOf(at), type: 'create', id: null, activatesAt })
      keys = [...keys, { ...plan.make, id, revoked: false, isUsable: () => true }]
    }
    const next = resolveDefaultKey(keys, at).key
    if (next !== active) {
      if (active) changes.push({ at: secondsOf(at), type: 'retire', id: idOf(active) })
      if (next) changes.push({ at: secondsOf(at), type: 'activate', id: idOf(next) })
      active = next
    }
    const after = planKeyRing({ ...facts, keys }, policy, at)
    const change = nextChangeAt(keys, at)
    const ahead = [change, after.dueAt].filter((each) => each !== undefined && each > at)
    const [soonest] = ahead.toSorted((a, b) => Number((a ?? 0n) - (b ?? 0n)))
    if (soonest === undefined || secondsOf(soonest) > until) break
    if (
      new Set(changes.filter((each) => each.at > secondsOf(ticksOf(now))).map((each) => each.at))
        .size >= steps
    )
      break
    at = soonest
  }
  const { blocked, late, endsAt } = first
  return { changes, blocked, late, endsAt: secondsOf(endsAt) }
}
