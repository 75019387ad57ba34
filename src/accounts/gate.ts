import { createFairQueue } from './fair-queue.ts'

/**
 * Limits how much work runs and waits at the same time. Argon2 and token signing share the four
 * threads of libuv's pool, and without a gate a burst of password guesses would occupy all of them.
 */
export interface Gate {
  /**
   * Runs `work` when its turn comes. Resolves to 'busy' without running it if too many wait.
   * @param lane of the caller, from general to particular; lanes take turns, and if too many wait,
   * the newest of the longest lane is refused (`fair-queue.ts`)
   */
  run<T>(work: () => Promise<T>, lane?: readonly string[]): Promise<T | 'busy'>
}

export function createGate({ atOnce, waiting }: { atOnce: number; waiting: number }): Gate {
  let running = 0
  const queue = createFairQueue<(turn: 'go' | 'busy') => void>()

  function waitInLine(lane: readonly string[]): Promise<'go' | 'busy'> {
    const { promise, resolve } = Promise.withResolvers<'go' | 'busy'>()
    queue.put(lane, resolve)
    if (queue.size > waiting) queue.dropFromLongest(lane)?.('busy')
    return promise
  }

  return {
    async run(work, lane = []) {
      if (running < atOnce) running += 1
      else if ((await waitInLine(lane)) === 'busy') return 'busy'
      try {
        return await work()
      } finally {
        // The place goes directly to the next in the queue, so that no newcomer can take it.
        const next = queue.take()
        if (next) next('go')
        else running -= 1
      }
    },
  }
}
