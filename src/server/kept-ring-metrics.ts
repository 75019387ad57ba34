import { Counter, Gauge, type Registry } from 'prom-client'
import type { KeepingStatus } from '../data-protection/keeping.ts'

/** Kept rings with functions that read their present state. */
export type ObservedRings = readonly { readonly ring: string; readonly status: KeepingStatus }[]

/** @returns function that sets the kept rings; before that the metrics have no values */
export function createKeptRingMetrics(registry: Registry): (rings: ObservedRings) => void {
  let rings: ObservedRings = []
  const registers = [registry]
  const labelNames = ['ring'] as const
  /** @param read returns undefined while the value is unknown */
  function gauge(
    name: string,
    help: string,
    read: (status: KeepingStatus) => number | undefined,
  ): void {
    new Gauge({
      name: `keyturn_data_protection_${name}`,
      help,
      labelNames,
      registers,
      collect() {
        this.reset()
        for (const { ring, status } of rings) {
          const value = read(status)
          if (value !== undefined) this.set({ ring }, value)
        }
      },
    })
  }
  gauge('key_due_seconds', 'Time until a key of the kept ring is made', (status) =>
    until(status, 'dueAt'),
  )
  gauge('end_seconds', 'Time until its applications stand still without a new key', (status) =>
    until(status, 'endsAt'),
  )
  gauge(
    'late',
    '1 while the keeper of the ring is late, else 0',
    (status) => status.report && Number(status.isLate()),
  )
  gauge('keys', 'Keys in the ring', ({ report }) => report?.keys.length)
  gauge(
    'problems',
    'Elements of the ring with something wrong',
    ({ report }) => report?.problems.length,
  )
  new Counter({
    name: 'keyturn_data_protection_failed_looks_total',
    help: 'Looks at the ring that failed, as it could not be read or written',
    labelNames,
    registers,
    collect() {
      this.reset()
      for (const { ring, status } of rings) this.inc({ ring }, status.failedLooks)
    },
  })
  return (observed) => {
    rings = observed
  }
}

function until({ report, now }: KeepingStatus, name: 'dueAt' | 'endsAt'): number | undefined {
  return report && report[name] - now()
}
