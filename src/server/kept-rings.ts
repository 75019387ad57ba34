import { type Clock, toRfc3339 } from '../clock.ts'
import type { Config, KeptRingSettings } from '../config/schema.ts'
import { createKeeper } from '../data-protection/keeper.ts'
import { createKeeping, type KeepingStatus } from '../data-protection/keeping.ts'
import { loadCertificates, ringNameOf, sourceOf } from '../data-protection/kept-ring.ts'
import { openRingStore } from '../data-protection/open-store.ts'
import { wholePolicy } from '../data-protection/plan.ts'
import { stopsApplications } from '../data-protection/problem.ts'
import type { DatabaseClock } from '../nodes/database-clock.ts'
import type { RingLog } from '../ring/ring-log.ts'
import type { ProcessMetrics } from './metrics.ts'
import type { Check, Checks } from './readiness.ts'

/** Rings of ASP.NET Core Data Protection for which this process makes keys. */
export interface KeptRings {
  readonly checks: Checks
  /** Starts keeping them. */
  start(): void
  stop(): Promise<void>
}

export interface KeptRingsOptions {
  readonly clock: Clock
  readonly databaseClock: DatabaseClock
  readonly log: RingLog
  readonly metrics: Pick<ProcessMetrics, 'observeKeptRings'>
}

/**
 * Opens the certificates of all rings. A ring with an unavailable store does not prevent the start;
 * it is tried again.
 * @throws CertificateUnusable
 */
export async function openKeptRings(
  { dataProtection: { rings }, management }: Config,
  { clock, databaseClock, log, metrics }: KeptRingsOptions,
): Promise<KeptRings> {
  const isStrict = management.readiness === 'strict'
  const opened = await Promise.all(
    rings.map(async (settings) => {
      const ring = ringNameOf(settings)
      const open = await keeperOf(settings, () => new Date(databaseClock.exact() * 1000))
      const keeping = createKeeping({ ring, open, clock, now: databaseClock.now, log })
      return { ring, keeping }
    }),
  )
  const observed = opened.map(({ ring, keeping }) => ({ ring, status: keeping.status }))
  metrics.observeKeptRings(observed)
  return {
    checks: Object.fromEntries(
      observed.map(({ ring, status }) => [ring, () => keptRingCheck(status, isStrict)]),
    ),
    start: () => {
      for (const { keeping } of opened) keeping.start()
    },
    stop: async () => {
      await Promise.all(opened.map(({ keeping }) => keeping.stop()))
    },
  }
}

async function keeperOf(settings: KeptRingSettings, now: () => Date) {
  const certificates = await loadCertificates(settings)
  return async () => {
    const store = await openRingStore(sourceOf(settings))
    return createKeeper({ store, certificates, policy: wholePolicy(settings), now })
  }
}

/**
 * Check that stays ready even if the ring is late, because every node keeps the same ring and
 * everything else works; unless an operator asks for the opposite.
 */
function keptRingCheck(status: KeepingStatus, isStrict = false): Check {
  const { report, failure } = status
  const isLate = status.isLate()
  if (!report) {
    const detail = failure ? `not read since the start: ${failure.message}` : 'not looked at yet'
    return { ok: !failure || !isStrict, degraded: failure !== undefined, detail }
  }
  const { keys, blocked, problems, dueAt, lateAt, endsAt } = report
  const stopping = problems.filter(stopsApplications)
  const ends = toRfc3339(endsAt)
  const details = [
    ...(isLate
      ? [`late: without a new key all applications of the ring stand still at ${ends}`]
      : []),
    ...(blocked ? [`a key is due and cannot be made (${blocked})`] : []),
    ...(failure ? [`the last look failed: ${failure.message}`] : []),
    ...stopping.map(({ source, message }) => `${source}: ${message}`),
    `${keys.length} keys, the next is made at ${toRfc3339(dueAt)}`,
  ]
  return {
    ok: !isStrict || !(isLate || failure),
    degraded: details.length > 1,
    detail: details.join('; '),
    dueAt: toRfc3339(dueAt),
    lateAt: toRfc3339(lateAt),
    endsAt: ends,
  }
}
