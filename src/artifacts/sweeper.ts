import type { Clock } from '../clock.ts'

export interface Sweeper {
  start(): void
  stop(): Promise<void>
}

export interface SweeperOptions {
  readonly artifacts: { sweep(limit: number): Promise<number> }
  readonly clock: Clock
  /** Seconds between sweeps. */
  readonly interval: number
  /** Most records deleted at once, so that requests never wait long. */
  readonly batch: number
  readonly onFailure: (error: unknown) => void
}

/**
 * Seconds between two batches while there is more to delete, so that requests are served in
 * between.
 */
const BATCH_PAUSE = 0.05

/** Deletes what has expired, in small batches, for as long as the server runs. */
export function createSweeper(options: SweeperOptions): Sweeper {
  const { artifacts, clock, interval, batch } = options
  const stopping = new AbortController()
  let loop: Promise<void> | undefined

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      const swept = await artifacts.sweep(batch).catch((error: unknown) => {
        options.onFailure(error)
        return 0
      })
      const pause = swept === batch ? BATCH_PAUSE : interval * (1 - Math.random() * 0.2)
      await clock.sleep(pause, stopping.signal)
    }
  }

  return {
    start: () => {
      loop ??= run()
    },
    stop: async () => {
      stopping.abort()
      await loop
    },
  }
}
