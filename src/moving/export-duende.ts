import type { DuendeExport } from '../import/duende-write.ts'
import { NEVER } from '../ring/key.ts'
import { type KeyState, meantUntil } from '../ring/lifecycle.ts'
import type { RingPolicy } from '../ring/policy.ts'
import { TICKS_PER_DAY, TICKS_PER_SECOND, type Ticks } from '../values/ticks.ts'

/**
 * The way back to Duende IdentityServer, which derives all that a key does from the instant of its creation: the
 * oldest key that has not reached the rotation interval signs. So each key gets the instant from which its phase
 * follows again, and not the one at which it was made. Pure.
 */

/** Options of IdentityServer, in seconds. */
export interface DuendeTimes {
  readonly rotation: number
  readonly retention: number
}

/** The year 1970, in ticks. */
const EPOCH: Ticks = 719_162n * TICKS_PER_DAY

/**
 * When IdentityServer is to believe that each key of one ring was made.
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
    // One second after its end, so that it does not sign in the very second of the switch.
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
