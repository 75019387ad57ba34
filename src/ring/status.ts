import type { Clock } from '../clock.ts'
import { ClockWrong } from '../errors.ts'
import type { ClockCheck } from './clock-check.ts'
import { eraseAt } from './lifecycle.ts'
import type { RotationPolicies } from './policy.ts'
import type { RingView } from './view.ts'

/** Status of the rings of this node, for signatures, readiness, metrics and heartbeats. */
export interface RingStatus {
  /** Seconds since the rings were last loaded; Infinity before the first time. */
  ringAge(): number
  /** Reason why this node may neither sign nor serve the JWKS; undefined while it may. */
  obstacle(): string | undefined
  /**
   * True if the key is neither revoked nor retired for longer than twice the skew, and this node
   * may sign.
   */
  maySign(kid: string): boolean
  readonly view: RingView | undefined
  /** Error of the last turn; undefined if it succeeded. */
  readonly failure: Error | undefined
  /** Number of failed turns since the last successful one. */
  readonly failures: number
  readonly warnings: readonly string[]
}

/**
 * An instant by both clocks, in seconds, because one stands still while the machine sleeps and the
 * other can be set.
 */
export interface Moment {
  readonly elapsed: number
  readonly wall: number
}

export interface StatusSources {
  readonly clock: Clock
  readonly databaseClock: ClockCheck
  readonly policies: RotationPolicies
  /** Seconds after which a ring that could not be loaded is too old to sign with. */
  readonly maxRingAge: number
  readonly publisher: { readonly view: RingView | undefined }
  readonly turns: { readonly loadedAt: Moment; readonly warnings: readonly string[] }
  readonly trouble: { readonly failure: Error | undefined; readonly failures: number }
  /** Called if the ring should be turned soon, because its view is out of date. */
  readonly onOutdated: () => void
}

/** The status of a node, read anew from its sources at each access. */
export function createStatus(sources: StatusSources): RingStatus {
  const { clock, databaseClock, policies, maxRingAge, publisher, turns, trouble } = sources
  const ringAge = () => clock.elapsed() - turns.loadedAt.elapsed

  function obstacle(): string | undefined {
    if (!databaseClock.isRight()) return new ClockWrong(databaseClock.offset() ?? 0).message
    // By the clock that gives the greater age, because one may stand still and the other be set
    // back.
    const age = Math.max(ringAge(), clock.now() - turns.loadedAt.wall)
    if (!publisher.view) return 'The key ring was never loaded.'
    if (age <= maxRingAge) return undefined
    // The machine slept or its clock was set: nobody has tried to load the ring since.
    if (trouble.failures === 0) sources.onOutdated()
    return `The key ring was loaded ${Math.round(age)} s ago, longer than maxRingAge.`
  }

  return {
    ringAge,
    obstacle,
    maySign: (kid) => {
      const state = publisher.view?.byKid.get(kid)
      if (!state || obstacle() !== undefined) return false
      const endsAt = eraseAt(state, policies.policyFor(state.key.ring))
      return state.revokedAt === null && (endsAt === null || clock.now() < endsAt)
    },
    get view() {
      return publisher.view
    },
    get failure() {
      return trouble.failure
    },
    get failures() {
      return trouble.failures
    },
    get warnings() {
      return turns.warnings
    },
  }
}
