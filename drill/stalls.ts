/**
 * Notices when other processes of the machine kept this one from running, for so long that
 * everything is late. Failures in that time say nothing about the servers; their number is
 * reported. A thread that was busy itself is no excuse.
 */

/** Milliseconds. */
const INTERVAL = 50
const LATE = 300

/** Instants in milliseconds since the epoch by the machine's clock. */
export interface Stall {
  readonly from: number
  readonly to: number
}

/** @returns function that ends the watch */
export function watchStalls(onStall: (stall: Stall) => void): () => void {
  let at = performance.now()
  let used = process.threadCpuUsage()
  const timer = setInterval(() => {
    const now = performance.now()
    const { user, system } = process.threadCpuUsage(used)
    const waited = now - at - INTERVAL - (user + system) / 1000
    if (waited > LATE) {
      const { timeOrigin } = performance
      onStall({ from: timeOrigin + at, to: timeOrigin + now })
    }
    at = now
    used = process.threadCpuUsage()
  }, INTERVAL)
  timer.unref()
  return () => clearInterval(timer)
}
