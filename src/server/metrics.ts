import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import { RECORD_KINDS, type RecordKind } from '../artifacts/forgeries.ts'
import { createIssuerMetrics, type IssuerMetrics } from './issuer-metrics.ts'
import { createKeptRingMetrics, type ObservedRings } from './kept-ring-metrics.ts'

/** Metrics for Prometheus. Names start with `keyturn_`; durations are seconds. */
export interface ProcessMetrics {
  readonly registry: Registry
  /** Connections that a limit closed, by its setting below `http.limits`. */
  readonly closed: Counter<'bound'>
  /** Sets the function that counts connections to the public listener. */
  countConnections(count: () => number): void
  /** Names the rings of ASP.NET Core that this process keeps. */
  observeKeptRings(rings: ObservedRings): void
  /** The metrics of an issuer, with its name as a label if the process has several issuers. */
  ofIssuer(issuer: string): IssuerMetrics
}

/** Sources that gauges of the process read. */
export interface MetricSources {
  /** True if the process has several issuers, whose names are then labels of their metrics. */
  readonly hasSeveral: boolean
  /** Seconds that this node's clock is ahead of the database's. */
  readonly clockOffset: () => number | undefined
  /** State of Redis, if it is used. */
  readonly redis?: { readonly isReachable: boolean } | undefined
  readonly database: { readonly isUsable: boolean }
  /** Number of requests in flight. */
  readonly inFlight: () => number
  /** Number of stored records that failed their check. */
  readonly forgeries: (kind: RecordKind) => number
}

export function createMetrics({ hasSeveral, ...sources }: MetricSources): ProcessMetrics {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry, prefix: 'keyturn_' })
  addGauges(registry, sources)
  let connections = () => 0
  new Gauge({
    name: 'keyturn_connections',
    help: 'Connections to the public listener',
    registers,
    collect() {
      this.set(connections())
    },
  })
  return {
    registry,
    countConnections: (count) => {
      connections = count
    },
    closed: new Counter({
      name: 'keyturn_connections_closed_total',
      help: 'Connections that a limit of http.limits closed, by its name',
      labelNames: ['bound'] as const,
      registers,
    }),
    observeKeptRings: createKeptRingMetrics(registry),
    ofIssuer: createIssuerMetrics(registry, hasSeveral),
  }
}

function addGauges(registry: Registry, sources: Omit<MetricSources, 'hasSeveral'>): void {
  const registers = [registry]
  function gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read())
      },
    })
  }
  gauge(
    'keyturn_clock_offset_seconds',
    'How far the clock of this node is ahead of the database',
    () => sources.clockOffset() ?? NaN,
  )
  gauge('keyturn_database_usable', '1 while what was asked of the database last worked', () =>
    Number(sources.database.isUsable),
  )
  const { redis } = sources
  if (redis) {
    gauge('keyturn_redis_reachable', '1 while Redis answers this node', () =>
      Number(redis.isReachable),
    )
  }
  gauge('keyturn_requests_in_flight', 'Requests that are worked on', sources.inFlight)
  new Counter({
    name: 'keyturn_forged_records_total',
    help: 'Records of the stores that failed their check, as somebody else wrote or changed them',
    labelNames: ['kind'] as const,
    registers,
    collect() {
      this.reset()
      for (const kind of RECORD_KINDS) this.inc({ kind }, sources.forgeries(kind))
    },
  })
}
