import Table from 'cli-table3'
import type { RpTally } from './fleet.ts'
import type { Emergency } from './operator.ts'

/** Results of a drill. Durations are seconds unless the name says otherwise. */
export interface Report {
  readonly seed: number
  readonly nodes: number
  readonly database: string
  readonly hasRedis: boolean
  readonly sabotage: string | null
  readonly duration: number
  readonly tokenRate: number
  readonly faults: Readonly<Record<string, number>>
  /** Durations in milliseconds, by name. */
  readonly times: Readonly<Record<string, readonly number[]>>
  readonly keys: Readonly<Record<string, { readonly made: number; readonly used: number }>>
  readonly rotations: number
  readonly tokens: number
  /** Number of client operations by kind. */
  readonly operations: Readonly<Record<string, number>>
  readonly relyingParties: readonly RpTally[]
  readonly refusals: readonly RefusalCount[]
  /** Number of requests without an answer or with 5xx, by cause. */
  readonly lost: Readonly<Record<string, number>>
  /** Number of requests that the balancer sent to a second node. */
  readonly retried: number
  readonly served: Readonly<Record<string, number>>
  /** Milliseconds. */
  readonly emergencies: readonly Emergency[]
  /** Seconds in which the machine did not let a process of the drill run. */
  readonly stalledFor: number
  readonly wasInterrupted: boolean
  readonly violations: readonly {
    readonly rule: string
    readonly detail: string
    /** Time since the start. */
    readonly after: number
  }[]
}

/** Number of valid tokens that a relying party refused for the same reason. */
export interface RefusalCount {
  readonly rp: string
  readonly why: string
  readonly isCovered: boolean
  /** Cause of the window in which the JWKS could not be fetched, if that was the reason. */
  readonly excuse: string | null
  readonly count: number
}

type Rows = readonly (readonly (string | number)[])[]

interface Section {
  readonly title: string
  readonly head: readonly string[]
  readonly rows: Rows
}

/** Violations of a rule that are shown in full. */
const EXAMPLES = 5

/** Renders the report for a terminal. */
export function renderTables(report: Report): string {
  const tables = sections(report).map(({ title, head, rows }) => {
    const table = new Table({
      head: [...head],
      colAligns: head.map((_, column) => (isNumeric(rows, column) ? 'right' : 'left')),
      style: { head: [], border: [], compact: true },
    })
    for (const row of rows) table.push([...row])
    return `${title}\n${table}`
  })
  return [...tables, verdict(report)].join('\n\n')
}

/** Renders the report for `docs/reliability.md`. */
export function renderMarkdown(report: Report): string {
  const line = (cells: readonly (string | number)[]) =>
    `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|')).join(' | ')} |`
  const tables = sections(report).map(({ title, head, rows }) => {
    const rule = head.map((_, column) => (isNumeric(rows, column) ? '--:' : '---'))
    return [`**${title}**`, '', line(head), line(rule), ...rows.map(line)].join('\n')
  })
  return [...tables, verdict(report)].join('\n\n')
}

function sections(report: Report): readonly Section[] {
  const { keys, relyingParties } = report
  const made = Object.entries(keys).map(([ring, of]) => [ring, of.made, of.used])
  return [
    { title: 'Drill', head: ['', ''], rows: summary(report) },
    { title: 'Faults', head: ['fault', 'times'], rows: Object.entries(report.faults) },
    ...(Object.keys(report.times).length === 0
      ? []
      : [
          { title: 'How long', head: ['what', 'times', 'median', 'most'], rows: durations(report) },
        ]),
    { title: 'Keys', head: ['ring', 'made', 'signed'], rows: made },
    { title: 'Clients', head: ['what', 'times'], rows: Object.entries(report.operations) },
    {
      title: 'Relying parties',
      head: [
        'relying party',
        'keeps keys for',
        'verified',
        'refused',
        'why',
        'revoked: refused',
        'accepted',
        'tail',
        'fetches',
      ],
      rows: relyingParties.map((rp) => [
        rp.isCovered ? rp.name : `${rp.name} (no bound covers it)`,
        rp.about,
        rp.verified,
        rp.refused,
        reasons(report.refusals.filter((refusal) => refusal.rp === rp.name)),
        rp.revokedRefused,
        rp.revokedAccepted,
        `${(rp.tail / 1000).toFixed(1)} s`,
        rp.fetches,
      ]),
    },
    {
      title: 'Requests lost',
      head: ['to', 'requests'],
      rows: [...Object.entries(report.lost), ['nothing: another node answered', report.retried]],
    },
  ]
}

function durations({ times }: Report): Rows {
  const seconds = (value = 0) => `${(value / 1000).toFixed(1)} s`
  return Object.entries(times).map(([what, list]) => {
    const sorted = [...list].sort((a, b) => a - b)
    const median = sorted[Math.floor((sorted.length - 1) / 2)]
    return [what, list.length, seconds(median), seconds(sorted.at(-1))]
  })
}

function summary(report: Report): Rows {
  const { emergencies, nodes, database, hasRedis, sabotage, duration } = report
  const latency = (of: (emergency: Emergency) => number) => {
    const sorted = emergencies.map(of).sort((a, b) => a - b)
    const median = sorted[Math.floor((sorted.length - 1) / 2)] ?? 0
    return `median ${median} ms, most ${sorted.at(-1) ?? 0} ms`
  }
  return [
    ['nodes', `${nodes} on ${database}${hasRedis ? ' and Redis' : ''}`],
    ['seed', report.seed],
    ...(sabotage ? [['sabotage', sabotage]] : []),
    ['duration', `${Math.floor(duration / 60)} min ${Math.round(duration % 60)} s`],
    ['machine stalled', `${report.stalledFor.toFixed(1)} s`],
    ['rotations', report.rotations],
    ['tokens', `${report.tokens} (${report.tokenRate.toFixed(0)} a second)`],
    ['verifications', report.relyingParties.reduce((all, rp) => all + rp.verified, 0)],
    ...(emergencies.length === 0
      ? []
      : [
          ['revocation, the command', latency(({ command }) => command)],
          ['revocation to last token', latency(({ lastToken }) => lastToken)],
          ['revocation to last JWKS', latency(({ lastPublished }) => lastPublished)],
        ]),
  ]
}

function reasons(refusals: readonly RefusalCount[]): string {
  return refusals
    .map(({ why, excuse, count }) => `${count} ${excuse ?? why}`)
    .filter((text, index, all) => all.indexOf(text) === index)
    .join('; ')
}

function verdict({ violations, wasInterrupted }: Report): string {
  const interrupted = wasInterrupted ? 'Interrupted. ' : ''
  if (violations.length === 0) return `${interrupted}No violation.`
  const rules = Map.groupBy(violations, ({ rule }) => rule)
  const lines = [...rules].flatMap(([rule, list]) => [
    `${rule}: ${list.length}`,
    ...list
      .slice(0, EXAMPLES)
      .map(({ detail, after }) => `  after ${after.toFixed(1)} s: ${detail}`),
  ])
  return `${interrupted}${violations.length} violations.\n${lines.join('\n')}`
}

function isNumeric(rows: Rows, column: number): boolean {
  return rows.length > 0 && rows.every((row) => typeof row[column] === 'number')
}
