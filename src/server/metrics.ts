import { type Aggregator, Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import { RECORD_KINDS, type RecordKind } from '../artifacts/forgeries.ts'
import type { NodeStateName } from '../nodes/node.ts'
import type { RingStatus } from '../ring/status.ts'

/**
 * What Prometheus can ask for. Names start with `keyturn_`; durations are seconds. Each gauge names
 * its aggregator, which makes one number of those of several workers; counters are summed.
 */
export interface Metrics {
  readonly registry: Registry
  readonly tokens: Counter<'kind'>
  readonly refusals: Counter<'error'>
  readonly serverErrors: Counter
  /** A client went away or broke off its request. */
  readonly cutShort: Counter
  readonly swaps: Counter
  readonly guesses: Counter<'kind' | 'outcome'>
  /** Answered with 503 as there were too many in flight. */
  readonly turnedAway: Counter
  /** Connections that a limit closed, by the setting below `http.limits`. */
  readonly closed: Counter<'bound'>
}

/** What gauges read when they are asked for. */
export interface MetricSources {
  readonly ring: RingStatus
  /** Seconds that this node's clock is ahead of the database's. */
  readonly clockOffset: () => number | undefined
  /** Nodes by state. */
  readonly nodes: () => Readonly<Record<NodeStateName, number>>
  /** Pairs of a live node and a key that it should have loaded and has not. */
  readonly unseenKeys: () => number
  /** Where Redis is used. */
  readonly redis?: { readonly isReachable: boolean } | undefined
  readonly database: { readonly isUsable: boolean }
  /** Was what this node writes of itself written the last time? */
  readonly mayWrite: () => boolean
  /** Requests that are worked on. */
  readonly inFlight: () => number
  /** To the public listener. */
  readonly connections: () => number
  /** Records of the stores that failed their check. */
  readonly forgeries: (kind: RecordKind) => number
}

export function createMetrics({ ring, ...sources }: MetricSources): Metrics {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry, prefix: 'keyturn_' })
  gauge('max', 'keyturn_ring_age_seconds', 'Time since this node last loaded the key ring', () =>
    ring.ringAge(),
  )
  gauge(
    'max',
    'keyturn_ring_failures',
    'Turns of the key ring that failed since the last success',
    () => ring.failures,
  )
  gauge(
    'min',
    'keyturn_may_sign',
    '1 while this node may sign, 0 once its ring is too old or its clock wrong',
    () => Number(ring.obstacle() === undefined),
  )
  gauge(
    // Workers have one clock and ask the database at different times.
    'average',
    'keyturn_clock_offset_seconds',
    'How far the clock of this node is ahead of the database',
    () => sources.clockOffset() ?? NaN,
  )
  gauge(
    'max',
    'keyturn_unseen_keys',
    'Pairs of a live node and a key that it should have loaded and has not',
    sources.unseenKeys,
  )
  gauge(
    'min',
    'keyturn_database_usable',
    '1 while what was asked of the database last worked',
    () => Number(sources.database.isUsable),
  )
  gauge('min', 'keyturn_may_write', '1 while this node can write its heartbeat', () =>
    Number(sources.mayWrite()),
  )
  const { redis } = sources
  if (redis) {
    gauge('min', 'keyturn_redis_reachable', '1 while Redis answers this node', () =>
      Number(redis.isReachable),
    )
  }
  gauge('sum', 'keyturn_requests_in_flight', 'Requests that are worked on', sources.inFlight)
  gauge('sum', 'keyturn_connections', 'Connections to the public listener', sources.connections)
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
  new Gauge({
    name: 'keyturn_nodes',
    help: 'Nodes by state: live, halted (neither signs nor serves) or silent',
    aggregator: 'max',
    labelNames: ['state'] as const,
    registers,
    collect() {
      for (const [state, count] of Object.entries(sources.nodes())) this.set({ state }, count)
    },
  })
  gauge(
    'min',
    'keyturn_next_change_timestamp_seconds',
    'When the key ring next changes',
    () => ring.view?.nextChangeAt ?? NaN,
  )
  new Gauge({
    name: 'keyturn_keys',
    help: 'Keys by ring and phase',
    aggregator: 'max',
    labelNames: ['ring', 'phase'] as const,
    registers,
    collect() {
      this.reset()
      for (const { key, phase } of ring.view?.states ?? []) this.inc({ ring: key.ring, phase })
    },
  })

  function gauge(aggregator: Aggregator, name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      aggregator,
      registers,
      collect() {
        this.set(read())
      },
    })
  }

  return {
    registry,
    tokens: new Counter({
      name: 'keyturn_tokens_issued_total',
      help: 'Tokens issued, by kind',
      labelNames: ['kind'] as const,
      registers,
    }),
    refusals: new Counter({
      name: 'keyturn_requests_refused_total',
      help: 'OAuth requests answered with an error, by its code',
      labelNames: ['error'] as const,
      registers,
    }),
    serverErrors: new Counter({
      name: 'keyturn_server_errors_total',
      help: 'Requests that failed by a fault of this server',
      registers,
    }),
    turnedAway: new Counter({
      name: 'keyturn_requests_turned_away_total',
      help: 'Requests answered with 503 as too many were in flight (http.limits.requests)',
      registers,
    }),
    closed: new Counter({
      name: 'keyturn_connections_closed_total',
      help: 'Connections that a limit of http.limits closed, by its name',
      labelNames: ['bound'] as const,
      registers,
    }),
    cutShort: new Counter({
      name: 'keyturn_answers_cut_short_total',
      help: 'Answers that did not reach a client, which went away or broke off its request',
      registers,
    }),
    guesses: new Counter({
      name: 'keyturn_guesses_total',
      help: 'Passwords, client secrets and user codes by outcome: right (passwords only), wrong, limited (too many were wrong) or busy (too many at the same time)',
      labelNames: ['kind', 'outcome'] as const,
      registers,
    }),
    swaps: new Counter({
      name: 'keyturn_provider_swaps_total',
      help: 'Times the ring view changed and the provider was replaced',
      registers,
    }),
  }
}
