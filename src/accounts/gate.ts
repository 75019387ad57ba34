/**
 * Lets a few pieces of work run at once and a few more wait. Argon2 and token signing share the
 * four threads of libuv's pool; without a gate, a burst of password guesses would hold them all.
 */
export interface Gate {
  /** Runs `work` when its turn comes. Resolves to 'busy', without running it, when too many wait. */
  run<T>(work: () => Promise<T>): Promise<T | 'busy'>
}

export function createGate({ atOnce, waiting }: { atOnce: number; waiting: number }): Gate {
  let running = 0
  const queue: (() => void)[] = []

  return {
    async run(work) {
      if (running >= atOnce && queue.length >= waiting) return 'busy'
      if (running >= atOnce) await new Promise<void>((turn) => queue.push(turn))
      else running += 1
      try {
        return await work()
      } finally {
        // The place goes straight to the next in line, so nobody can slip in between.
        const next = queue.shift()
        if (next) next()
        else running -= 1
      }
    },
  }
}
