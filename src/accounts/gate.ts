import { createFairQueue } from './fair-queue.ts'

/**
 * Lets a few pieces of work run at once and a few more wait. Argon2 and token signing share the
 * four threads of libuv's pool; without a gate, a burst of password guesses would hold them all.
 */
export interface Gate {
  /**
   * Runs `work` when its turn comes. Resolves to 'busy', without running it, when too many wait.
   * @param lane who asks, from the most general to the most particular (`fair-queue.ts`): lanes take
   *   turns, and where too many wait, the newest of the longest lane is turned away
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
        // The place goes straight to the next in line, so nobody can slip in between.
        const next = queue.take()
        if (next) next('go')
        else running -= 1
      }
    },
  }
}
