import { AggregatorRegistry, type Registry } from 'prom-client'
import type { MetricsSnapshot } from './messages.ts'

/** The metrics of all workers as if they were one process. */
export interface SummedMetrics {
  /** Takes what a worker has just said in the place of what it said before. */
  note(worker: number, snapshot: MetricsSnapshot): void
  /** The worker has ended. What it counted stays. */
  forget(worker: number): void
  /** Each metric over all workers, by the aggregator that it names (`src/server/metrics.ts`). */
  registry(): Promise<Registry>
}

export function createSummedMetrics(): SummedMetrics {
  const latest = new Map<number, MetricsSnapshot>()
  /** Counted by workers that have ended: a sum that fell would look like a restart of the server. */
  let past: Promise<MetricsSnapshot> = Promise.resolve([])

  return {
    note: (worker, snapshot) => latest.set(worker, snapshot),
    forget: (worker) => {
      const counted = latest.get(worker)?.filter(isCount) ?? []
      latest.delete(worker)
      past = past.then((before) => aggregate([before, counted]).getMetricsAsJSON())
    },
    registry: async () => aggregate([await past, ...latest.values()]),
  }
}

function aggregate(snapshots: readonly MetricsSnapshot[]): Registry {
  return AggregatorRegistry.aggregate([...snapshots])
}

function isCount({ type }: MetricsSnapshot[number]): boolean {
  // Declared as a numeric enum; the library itself uses words.
  return ['counter', 'histogram'].includes(String(type))
}
