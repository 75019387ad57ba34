/**
 * Notices when a process was kept from running by others on the machine, for long enough to be late
 * for everything. What fails then says nothing about the servers; how often it happened is
 * reported. A thread that was busy itself is no excuse.
 */

/** Milliseconds. */
const INTERVAL = 50
const LATE = 300

/** Milliseconds since the epoch of the machine. */
export interface Stall {
  readonly from: number
  readonly to: number
}

/** @returns what ends the watch */
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
