import type { DuendeExport } from '../import/duende-write.ts'
import { NEVER } from '../ring/key.ts'
import { type KeyState, meantUntil } from '../ring/lifecycle.ts'
import type { RingPolicy } from '../ring/policy.ts'
import { TICKS_PER_DAY, TICKS_PER_SECOND, type Ticks } from '../values/ticks.ts'

/**
 * Export to Duende IdentityServer, which derives everything from a key's creation: the oldest key
 * that has not reached the rotation interval signs. So each key gets the creation date from which
 * its phase follows, not the true one. Pure.
 */

/** Options of IdentityServer, in seconds. */
export interface DuendeTimes {
  readonly rotation: number
  readonly retention: number
}

/** The instant 1970-01-01T00:00:00Z in ticks. */
const EPOCH: Ticks = 719_162n * TICKS_PER_DAY

/**
 * Creation dates that IdentityServer is to see for the keys of one ring.
 * @param states in order of generation, of keys that are published
 */
export function duendeLives(
  states: readonly KeyState[],
  policy: Pick<RingPolicy, 'cryptoperiod'>,
  { rotation, retention }: DuendeTimes,
): ReadonlyMap<string, Pick<DuendeExport, 'createdAt' | 'storedAt'>> {
  const lives = new Map<string, Pick<DuendeExport, 'createdAt' | 'storedAt'>>()
  let before = -Infinity
  for (const [at, state] of states.entries()) {
    const { key, phase, retiresAt, unpublishAt } = state
    const next = states.slice(at + 1).find(({ phase: of }) => of === 'pre-active')
    const planned = next && next.activatesAt < NEVER ? next.activatesAt : meantUntil(state, policy)
    const ends = phase === 'active' ? planned : (retiresAt ?? Infinity)
    // The interval ends one second before the switch, so that the key does not sign in the very
    // second of the switch.
    const created =
      phase === 'pre-active' ? Math.max(key.createdAt, before + 1) : ends - rotation - 1
    before = created
    const leaves = (unpublishAt ?? created + rotation + retention) - rotation - retention
    const stored = phase === 'retired' ? Math.max(created, leaves) : created
    lives.set(key.kid, { createdAt: ticks(created), storedAt: ticks(stored) })
  }
  return lives
}

function ticks(at: number): Ticks {
  return BigInt(at) * TICKS_PER_SECOND + EPOCH
}
