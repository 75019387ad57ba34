import { AggregatorRegistry, type Registry } from 'prom-client'
import type { MetricsSnapshot } from './messages.ts'

/** Sums the metrics of all workers as if they were one process. */
export interface SummedMetrics {
  /** Replaces the last metrics of a worker. */
  note(worker: number, snapshot: MetricsSnapshot): void
  /** Notes that a worker has ended. Its counts are kept. */
  forget(worker: number): void
  /** Each metric over all workers, by the aggregator that it names (`src/server/metrics.ts`). */
  registry(): Promise<Registry>
}

export function createSummedMetrics(): SummedMetrics {
  const latest = new Map<number, MetricsSnapshot>()
  /**
   * Counts of ended workers, kept because a falling sum would look like a restart of the server.
   */
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
  // The types declare a numeric enum, but the library uses words.
  return ['counter', 'histogram'].includes(String(type))
}
