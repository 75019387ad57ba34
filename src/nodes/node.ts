import { toRfc3339 } from '../clock.ts'
import { Refused } from '../errors.ts'
import type { KeyFacts } from '../ring/key.ts'
import type { KeyState } from '../ring/lifecycle.ts'
import type { RotationPolicies } from '../ring/policy.ts'

/**
 * What nodes tell of themselves, and what follows from it. Activation is a matter of the clock, made
 * safe by `maxRingAge`; the reports prove that it held, and name the node for which it will not.
 * Pure.
 */

/** One process that serves, as it last told. */
export interface NodeReport {
  /** Unique among processes; its host and a random end. Reports of one process on several issuers share it. */
  readonly id: string
  readonly version: string
  /** In whose name it issues tokens. A process with several issuers tells of each. */
  readonly issuer: string
  readonly startedAt: number
  /** When it told, by the clock of the database. */
  readonly seenAt: number
  /** Equal for nodes that see the same keys in the same phases. */
  readonly ringHash: string
  /** Seconds, at `seenAt`, since it loaded the ring. */
  readonly ringAge: number
  /** Seconds that its clock is ahead of the database's; null where there is nothing to compare with. */
  readonly clockOffset: number | null
  /** The published keys that it knows. */
  readonly kids: readonly string[]
  /** Why it neither signs nor serves; null while it does. */
  readonly obstacle: string | null
}

/**
 * - `live`: told within the last three refresh intervals
 * - `halted`: tells that it neither signs nor serves
 * - `silent`: was killed, or cannot reach the database; beyond `maxRingAge` it does not sign either
 */
export type NodeStateName = 'live' | 'halted' | 'silent'

/** How many refresh intervals a node may miss before it counts as silent. */
const MISSED = 3

export function nodeState(node: NodeReport, refreshInterval: number, now: number): NodeStateName {
  if (now - node.seenAt > MISSED * refreshInterval) return 'silent'
  return node.obstacle === null ? 'live' : 'halted'
}

/**
 * For what may only be done while every node is stopped.
 * @param what is not done, and why not while nodes run: both in words of a message
 * @throws Refused where a node runs, halted or not
 */
export function assertStopped(
  nodes: readonly NodeReport[],
  { refreshInterval, now }: { readonly refreshInterval: number; readonly now: number },
  { what, why }: { readonly what: string; readonly why: string },
): void {
  const running = nodes.filter((node) => nodeState(node, refreshInterval, now) !== 'silent')
  if (running.length === 0) return
  // A process with several issuers tells of each.
  const ids = [...new Set(running.map(({ id }) => id))]
  throw new Refused(
    'nodes_running',
    { nodes: ids, countsFor: MISSED * refreshInterval },
    `Nothing is ${what} while nodes run: ${ids.join(', ')}. ${why} Stop them; ` +
      `one that was killed counts as running for ${MISSED * refreshInterval} s.`,
  )
}

/** A key that signs or will, and a live node that has not loaded it although it had the time to. */
export interface UnseenKey {
  readonly node: NodeReport
  readonly key: KeyState
}

/**
 * Live nodes that have not loaded a key `maxRingAge` after it was made: well before its activation,
 * as the propagation is longer by at least the time that caches keep a JWKS. One that has retired may
 * have left a node whose clock is ahead.
 */
export function unseenKeys(
  nodes: readonly NodeReport[],
  states: readonly KeyState[],
  { policies, refreshInterval, now }: UnseenKeysOptions,
): readonly UnseenKey[] {
  const due = states.filter((state) => {
    const { published, maxRingAge } = policies.policyFor(state.key.ring)
    const isNeeded = state.phase === 'pre-active' || state.phase === 'active'
    return published && isNeeded && now >= state.key.createdAt + maxRingAge
  })
  return nodes
    .filter((node) => nodeState(node, refreshInterval, now) === 'live')
    .flatMap((node) =>
      due.filter(({ key }) => !node.kids.includes(key.kid)).map((key) => ({ node, key })),
    )
}

/**
 * The reports that matter to one issuer: without those on other issuers of the same configuration, which have
 * keys of their own and are no strangers.
 * @param siblings the other issuers of the configuration
 */
export function reportsFor(
  siblings: readonly string[],
  reports: readonly NodeReport[],
): readonly NodeReport[] {
  return reports.filter(({ issuer }) => !siblings.includes(issuer))
}

/** A node as operators see it. */
export interface SurveyedNode {
  readonly report: NodeReport
  readonly state: NodeStateName
  /** Keys that it should have loaded by now and has not. */
  readonly lacks: readonly KeyFacts[]
  /** Does it serve another issuer on the same database? */
  readonly isStranger: boolean
}

/** Every node, with what it lacks. */
export function surveyNodes(
  reports: readonly NodeReport[],
  states: readonly KeyState[],
  options: UnseenKeysOptions & StrangersOptions,
): readonly SurveyedNode[] {
  const unseen = unseenKeys(reports, states, options)
  const foreign = strangers(reports, options)
  return reports.map((report) => ({
    report,
    state: nodeState(report, options.refreshInterval, options.now),
    lacks: unseen.filter(({ node }) => node === report).map(({ key: { key } }) => key),
    isStranger: foreign.includes(report),
  }))
}

/** For the log and for readiness. */
export function unseenWords({ node, key: { key } }: UnseenKey): string {
  return `node ${node.id} has not loaded generation ${key.generation} of ring ${key.ring}`
}

/** Live nodes that issue in another name: their configuration, or this one's, has the wrong database. */
export function strangers(
  nodes: readonly NodeReport[],
  { issuer, refreshInterval, now }: StrangersOptions,
): readonly NodeReport[] {
  return nodes.filter(
    (node) => node.issuer !== issuer && nodeState(node, refreshInterval, now) !== 'silent',
  )
}

/** For the log, readiness and `nodes list`. */
export function strangerWords({ id, issuer }: NodeReport): string {
  return `node ${id} is on the same database and serves another issuer, ${issuer}`
}

/**
 * Nodes that fell silent and did not stop in good order, for as long as they may still sign and serve
 * without the ring that others have. One may have been killed; or it lives and reaches another database
 * than this node, as after a failover that left two primaries.
 */
export function missingNodes(
  nodes: readonly NodeReport[],
  { refreshInterval, maxRingAge, now }: MissingOptions,
): readonly NodeReport[] {
  return nodes.filter(
    (node) => nodeState(node, refreshInterval, now) === 'silent' && now - node.seenAt <= maxRingAge,
  )
}

/** For the log and for readiness. */
export function missingWords({ id, seenAt }: NodeReport): string {
  return (
    `node ${id} has been silent since ${toRfc3339(seenAt)}: it was killed, is cut off from the database, or ` +
    'is on another one (two primaries)'
  )
}

export interface MissingOptions {
  /** Seconds. */
  readonly refreshInterval: number
  /** Seconds. */
  readonly maxRingAge: number
  readonly now: number
}

export interface StrangersOptions {
  readonly issuer: string
  /** Seconds. */
  readonly refreshInterval: number
  readonly now: number
}

export interface UnseenKeysOptions {
  readonly policies: RotationPolicies
  /** Seconds. */
  readonly refreshInterval: number
  readonly now: number
}

/** How many nodes are in which state. */
export function countNodes(
  nodes: readonly NodeReport[],
  refreshInterval: number,
  now: number,
): Readonly<Record<NodeStateName, number>> {
  const counts = { live: 0, halted: 0, silent: 0 }
  for (const node of nodes) counts[nodeState(node, refreshInterval, now)] += 1
  return counts
}
