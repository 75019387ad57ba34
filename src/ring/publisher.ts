import type { Clock } from '../clock.ts'
import { type ClockCheck, requireRight } from './clock-check.ts'
import type { LoadedRings } from './loaded-rings.ts'
import type { RotationPolicies } from './policy.ts'
import type { RingLog } from './ring-log.ts'
import type { Rings } from './rings.ts'
import { type RingView, ringView } from './view.ts'

/**
 * Publishes views of the rings: at once when the scheduler has loaded them; and, from the keys at
 * hand, each change that is due by the clock, even if the store is slow or does not answer.
 */
export interface Publisher {
  /**
   * Holds facts as the keys at hand and publishes their present view, one call after another.
   * @throws ClockWrong, because the view of a wrong clock would still be served once the clock is
   *   right again
   */
  show(facts: LoadedRings): Promise<RingView>
  /** Publishes each change at the instant that was planned, until `signal` is aborted. */
  keepTime(signal: AbortSignal): Promise<void>
  /** The last published view. */
  readonly view: RingView | undefined
}

export interface PublisherOptions {
  readonly rings: Rings
  readonly policies: RotationPolicies
  readonly clock: Clock
  readonly databaseClock: Pick<ClockCheck, 'isRight' | 'offset'>
  /** Longest time, in seconds, between two looks at the clock, which may be set meanwhile. */
  readonly refreshInterval: number
  /** Called with every view that differs from the one before. */
  readonly onView: (view: RingView) => void | Promise<void>
  readonly log: RingLog
}

/** Seconds after which a failed publication is tried again. */
const RETRY = 1

export function createPublisher(options: PublisherOptions): Publisher {
  const { rings, policies, clock, databaseClock, log } = options
  let view: RingView | undefined
  let showing: Promise<unknown> = Promise.resolve()

  function show(facts: LoadedRings): Promise<RingView> {
    rings.hold(facts)
    const publish = async () => {
      requireRight(databaseClock)
      const next = ringView(facts, policies, clock.now())
      if (next.hash !== view?.hash) {
        await options.onView(next)
        for (const turned of view ? phaseChanges(view, next) : []) log.info(...turned)
      }
      view = next
      return next
    }
    const shown = showing.then(publish, publish)
    showing = shown
    return shown
  }

  async function keepTime(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const dueIn = (view?.nextChangeAt ?? Infinity) - clock.exact()
      // A change is overdue if its publication has just failed.
      const pause = dueIn > 0 ? Math.min(dueIn, options.refreshInterval) : RETRY
      await clock.sleep(pause, signal)
      const isDue = (view?.nextChangeAt ?? Infinity) <= clock.now()
      if (!rings.facts || !isDue || !databaseClock.isRight()) continue
      await show(rings.facts).catch((error: unknown) => {
        log.error(
          { err: error },
          'a key change that is due could not be published; it will be tried again',
        )
      })
    }
  }

  return {
    show,
    keepTime,
    get view() {
      return view
    },
  }
}

/**
 * Log lines for keys whose phase has changed since the last view. No other line tells of a switch.
 */
function phaseChanges(before: RingView, after: RingView): readonly [object, string][] {
  const phases = new Map(before.states.map(({ key, phase }) => [key.kid, phase]))
  return after.states
    .filter(({ key, phase }) => phases.has(key.kid) && phases.get(key.kid) !== phase)
    .map(({ key: { ring, generation, kid }, phase }) => [
      { ring, generation, kid, phase },
      `ring ${ring}: generation ${generation} is ${phase}${phase === 'active' ? ' and signs now' : ''}`,
    ])
}
