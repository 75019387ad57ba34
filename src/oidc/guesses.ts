import {
  type Count,
  createNetworkCounter,
  longestWait,
  type NetworkLimits,
  type SharedCounts,
} from '../accounts/counters.ts'
import type { Clock } from '../clock.ts'

/**
 * Counts wrong client secrets and wrong user codes. Unlike passwords they are counted after the
 * check, so that the many correct requests of clients cost nothing here.
 */
export interface Guesses {
  /**
   * @returns seconds to wait before the next guess is checked; undefined if it may be checked now,
   * at once while no guess was wrong, because every request of a client asks
   */
  wait(guess: Guess): Promise<number | undefined> | undefined
  /**
   * Counts a wrong guess.
   * @returns seconds to wait if the limit is exceeded; the caller must then not tell whether the
   * guess was right
   */
  wrong(guess: Guess): Promise<number | undefined>
}

export interface Guess {
  readonly address: string
  /**
   * The owner of the secret; if left out, only the networks that the guess comes from are counted.
   */
  readonly subject?: string | undefined
}

export interface GuessesOptions {
  /** Part of the names of counters in Redis. */
  readonly kind: string
  /** Limits of all subjects together. */
  readonly limits: NetworkLimits
  /**
   * Limits of one subject, per network only: a limit over all networks would shut out its owner.
   */
  readonly subjectLimits?: NetworkLimits
  /** Length of the counting window in seconds. */
  readonly window: number
  readonly shared?: SharedCounts | undefined
  readonly clock: Pick<Clock, 'elapsed'>
}

/**
 * Each process decides by its own counts, which hold even against many guesses at the same moment.
 * With `shared` each wrong guess is also counted for all processes, and exceeding the shared limit
 * fills this process's count: an attacker who changes nodes gains one guess at each node.
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
  /**
   * End of the window of the last wrong guess, by the monotonic clock; undefined if there was none.
   */
  let wrongUntil: number | undefined

  return {
    wait(guess) {
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
