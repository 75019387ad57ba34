import { Counter, Gauge, type Registry } from 'prom-client'
import type { NodeStateName } from '../nodes/node.ts'
import type { Count, ProviderCounts } from '../oidc/counts.ts'
import type { RingStatus } from '../ring/status.ts'

/** Counters of an issuer. */
export interface IssuerMetrics extends ProviderCounts {
  /** Requests whose client closed the connection or broke off. */
  readonly cutShort: Count
  readonly swaps: Count
  /** Requests answered with 503 because too many were in flight. */
  readonly turnedAway: Count
  /** Requests answered with 503 because they took too long. */
  readonly late: Count
  /** Sets the sources that this issuer's gauges read. */
  observe(sources: IssuerSources): void
}

/** Sources that an issuer's gauges read. */
export interface IssuerSources {
  readonly ring: RingStatus
  /** Number of nodes by state. */
  readonly nodes: () => Readonly<Record<NodeStateName, number>>
  /** Number of pairs of a live node and a key that it should have loaded and has not. */
  readonly unseenKeys: () => number
  /** True if the last report of this node was written. */
  readonly mayWrite: () => boolean
}

type Labels = Readonly<Record<string, string>>
type Observed = readonly [Labels, IssuerSources]

/**
 * Creates the metrics of issuers. In a process with one issuer they have no label `issuer`.
 * @returns function that makes the metrics of an issuer
 */
export function createIssuerMetrics(
  registry: Registry,
  hasSeveral: boolean,
): (issuer: string) => IssuerMetrics {
  const own = hasSeveral ? ['issuer'] : []
  const observed: Observed[] = []
  addGauges(registry, own, observed)
  addGaugesByLabel(registry, own, observed)
  const counters = createCounters(registry, own)
  return (issuer) => {
    const labels: Labels = hasSeveral ? { issuer } : {}
    const count = <Label extends string>(counter: Counter): Count<Label> => ({
      inc: (more) => counter.inc({ ...labels, ...more }),
    })
    return {
      tokens: count(counters.tokens),
      refusals: count(counters.refusals),
      serverErrors: count(counters.serverErrors),
      cutShort: count(counters.cutShort),
      swaps: count(counters.swaps),
      guesses: count(counters.guesses),
      turnedAway: count(counters.turnedAway),
      late: count(counters.late),
      observe: (sources) => {
        observed.push([labels, sources])
      },
    }
  }
}

function addGauges(
  registry: Registry,
  labelNames: readonly string[],
  observed: readonly Observed[],
): void {
  function gauge(name: string, help: string, read: (sources: IssuerSources) => number): void {
    new Gauge({
      name,
      help,
      labelNames,
      registers: [registry],
      collect() {
        for (const [labels, sources] of observed) this.set(labels, read(sources))
      },
    })
  }
  gauge('keyturn_ring_age_seconds', 'Time since this node last loaded the key ring', ({ ring }) =>
    ring.ringAge(),
  )
  gauge(
    'keyturn_ring_failures',
    'Turns of the key ring that failed since the last success',
    ({ ring }) => ring.failures,
  )
  gauge(
    'keyturn_may_sign',
    '1 while this node may sign, 0 once its ring is too old or its clock wrong',
    ({ ring }) => Number(ring.obstacle() === undefined),
  )
  gauge(
    'keyturn_unseen_keys',
    'Pairs of a live node and a key that it should have loaded and has not',
    ({ unseenKeys }) => unseenKeys(),
  )
  gauge('keyturn_may_write', '1 while this node can write its heartbeat', ({ mayWrite }) =>
    Number(mayWrite()),
  )
  gauge(
    'keyturn_next_change_timestamp_seconds',
    'When the key ring next changes',
    ({ ring }) => ring.view?.nextChangeAt ?? NaN,
  )
}

function addGaugesByLabel(
  registry: Registry,
  own: readonly string[],
  observed: readonly Observed[],
): void {
  const registers = [registry]
  new Gauge({
    name: 'keyturn_nodes',
    help: 'Nodes by state: live, halted (neither signs nor serves) or silent',
    labelNames: [...own, 'state'],
    registers,
    collect() {
      for (const [labels, { nodes }] of observed) {
        for (const [state, count] of Object.entries(nodes())) this.set({ ...labels, state }, count)
      }
    },
  })
  new Gauge({
    name: 'keyturn_keys',
    help: 'Keys by ring and phase',
    labelNames: [...own, 'ring', 'phase'],
    registers,
    collect() {
      this.reset()
      for (const [labels, { ring }] of observed) {
        for (const { key, phase } of ring.view?.states ?? []) {
          this.inc({ ...labels, ring: key.ring, phase })
        }
      }
    },
  })
}

function createCounters(registry: Registry, own: readonly string[]) {
  const counter = (name: string, help: string, labels: readonly string[] = []) =>
    new Counter({ name, help, labelNames: [...own, ...labels], registers: [registry] })
  return {
    tokens: counter('keyturn_tokens_issued_total', 'Tokens issued, by kind', ['kind']),
    refusals: counter(
      'keyturn_requests_refused_total',
      'OAuth requests answered with an error, by its code',
      ['error'],
    ),
    serverErrors: counter(
      'keyturn_server_errors_total',
      'Requests that failed by a fault of this server',
    ),
    turnedAway: counter(
      'keyturn_requests_turned_away_total',
      'Requests answered with 503 as too many were in flight (http.limits.requests)',
    ),
    late: counter(
      'keyturn_requests_late_total',
      'Requests answered with 503 as they took too long (http.limits.answerTime)',
    ),
    cutShort: counter(
      'keyturn_answers_cut_short_total',
      'Answers that did not reach a client, which went away or broke off its request',
    ),
    guesses: counter(
      'keyturn_guesses_total',
      'Passwords, client secrets and user codes by outcome: right (passwords only), wrong, limited (too many were wrong) or busy (too many at the same time)',
      ['kind', 'outcome'],
    ),
    swaps: counter(
      'keyturn_provider_swaps_total',
      'Times the ring view changed and the provider was replaced',
    ),
  }
}
