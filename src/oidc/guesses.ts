import {
  type Count,
  createNetworkCounter,
  longestWait,
  type NetworkLimits,
  type SharedCounts,
} from '../accounts/counters.ts'
import type { Clock } from '../clock.ts'

/**
 * Wrong client secrets and wrong user codes. Unlike passwords they are counted afterwards, as the
 * requests of clients are many and almost all of them right: those cost nothing here.
 */
export interface Guesses {
  /** @returns seconds to wait before the next guess is looked at; undefined where it may be */
  wait(guess: Guess): Promise<number | undefined>
  /** Counts a wrong one. @returns seconds to wait, where it was one too many and tells nothing */
  wrong(guess: Guess): Promise<number | undefined>
}

export interface Guess {
  readonly address: string
  /** Whose secret it would be; left out, only the networks it comes from are counted. */
  readonly subject?: string | undefined
}

export interface GuessesOptions {
  /** Names them in Redis. */
  readonly kind: string
  /** Of all subjects together. */
  readonly limits: NetworkLimits
  /** Of one subject. There is no limit of a subject from everywhere: it would shut out its owner. */
  readonly subjectLimits?: NetworkLimits
  /** Seconds. */
  readonly window: number
  readonly shared?: SharedCounts | undefined
  readonly clock: Pick<Clock, 'elapsed'>
}

/**
 * Each process decides by counts of its own, which many guesses at the same moment cannot outrun. With
 * `shared` each wrong guess is counted for all processes too, and one that is too many there closes
 * this process's count: a guesser who changes nodes gains one guess at each of them.
 */
export function createGuesses(options: GuessesOptions): Guesses {
  const { kind, limits, subjectLimits, window, shared, clock } = options
  const counters = (where: SharedCounts | undefined) => {
    const ofAll = createNetworkCounter(kind, limits, { window, shared: where })
    const ofSubject =
      subjectLimits && createNetworkCounter(`${kind}-of`, subjectLimits, { window, shared: where })
    return ({ address, subject }: Guess): readonly Count[] => [
      ...(subject === undefined ? [] : (ofSubject?.(address, subject) ?? [])),
      ...ofAll(address),
    ]
  }
  const ownCounts = counters(undefined)
  const sharedCounts = shared && counters(shared)
  /** Until then something was wrong in this process, by a clock that cannot be set: mostly nothing was. */
  let wrongUntil: number | undefined

  return {
    async wait(guess) {
      if (wrongUntil === undefined) return undefined
      if (clock.elapsed() <= wrongUntil) return longestWait(ownCounts(guess))
      wrongUntil = undefined
      return undefined
    },

    async wrong(guess) {
      wrongUntil = clock.elapsed() + window
      const own = ownCounts(guess)
      const all = sharedCounts?.(guess) ?? []
      // From the narrowest to the widest, stopping at the first that is full (`attempts.ts`).
      for (const [index, count] of own.entries()) {
        const passed = await count.add()
        if (passed !== undefined) return passed
        const passedByAll = await all[index]?.add()
        if (passedByAll === undefined) continue
        await count.fill(passedByAll)
        return passedByAll
      }
      return undefined
    },
  }
}
