import type { Clock } from '../../src/clock.ts'

/**
 * A clock that stands still until it is told to move. Sleepers wake when their time has come, in
 * order, and `pass` lets whatever they do next come to rest before it goes on.
 */
export function createFakeClock(start = 1_800_000_000) {
  let elapsed = 0
  let wall = start
  let sleepers: { until: number; wake: () => void }[] = []
  /** Woken and not asleep again: making a key takes real time in another thread. */
  let awake = 0

  const settle = async () => {
    for (let i = 0; i < 20 || awake > 0; i++) await new Promise((resolve) => setImmediate(resolve))
  }

  const clock: Clock = {
    now: () => Math.floor(wall),
    exact: () => wall,
    elapsed: () => elapsed,
    sleep: (seconds, signal) =>
      new Promise<void>((resolve) => {
        awake = Math.max(0, awake - 1)
        if (signal.aborted) return resolve()
        const sleeper = { until: elapsed + seconds, wake: resolve }
        sleepers.push(sleeper)
        signal.addEventListener('abort', () => {
          sleepers = sleepers.filter((other) => other !== sleeper)
          resolve()
        })
      }),
  }
  return {
    ...clock,
    /** Lets `seconds` go by, stopping wherever somebody wakes. */
    async pass(seconds: number): Promise<void> {
      const end = elapsed + seconds
      for (;;) {
        await settle()
        const next = sleepers.toSorted((a, b) => a.until - b.until)[0]
        const at = next && next.until <= end ? next.until : end
        wall += at - elapsed
        elapsed = at
        if (!next || next.until > end) return
        sleepers = sleepers.filter((sleeper) => sleeper !== next)
        awake += 1
        next.wake()
      }
    },
    /** Somebody sets the clock; no time goes by. */
    jump(seconds: number): void {
      wall += seconds
    },
    settle,
  }
}
