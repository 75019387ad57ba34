import { toRfc3339 } from '../clock.ts'
import { Refused } from '../errors.ts'
import type { KeyFacts } from '../ring/key.ts'
import type { KeyState } from '../ring/lifecycle.ts'
import type { RotationPolicies } from '../ring/policy.ts'

/**
 * Reports of nodes, and the conclusions from them. Keys become active by the clock alone, which
 * `maxRingAge` makes safe; the reports show that it was safe, and name a node for which it will not
 * be. Pure.
 */

/** Last report of a process that serves. */
export interface NodeReport {
  /**
   * Unique id of the process: its host and a random end. The reports of a process for several
   * issuers have the same id.
   */
  readonly id: string
  readonly version: string
  /** Issuer of its tokens. A process with several issuers reports for each. */
  readonly issuer: string
  readonly startedAt: number
  /** Instant of the report, by the clock of the database. */
  readonly seenAt: number
  /** Hash that is equal for nodes with the same keys in the same phases. */
  readonly ringHash: string
  /** Seconds from the node's last load of the ring to `seenAt`. */
  readonly ringAge: number
  /**
   * Seconds that its clock is ahead of the database's; null if there is nothing to compare with.
   */
  readonly clockOffset: number | null
  /** Published keys that the node knows. */
  readonly kids: readonly string[]
  /** Reason why the node neither signs nor serves; null while it does. */
  readonly obstacle: string | null
}

/**
 * - `live`: reported within the last three refresh intervals
 * - `halted`: reports that it neither signs nor serves
 * - `silent`: was killed, or cannot reach the database; beyond `maxRingAge` it does not sign either
 */
export type NodeStateName = 'live' | 'halted' | 'silent'

/** Refresh intervals without a report after which a node counts as silent. */
const SILENT_AFTER = 3

export function nodeState(node: NodeReport, refreshInterval: number, now: number): NodeStateName {
  if (now - node.seenAt > SILENT_AFTER * refreshInterval) return 'silent'
  return node.obstacle === null ? 'live' : 'halted'
}

/**
 * Makes sure that every node is stopped, for orders that need that.
 * @param what is refused, and why it must not happen while nodes run, both in words of the message
 * @throws Refused if a node runs, halted or not
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
    { nodes: ids, countsFor: SILENT_AFTER * refreshInterval },
    `Nothing is ${what} while nodes run: ${ids.join(', ')}. ${why} Stop them; ` +
      `one that was killed counts as running for ${SILENT_AFTER * refreshInterval} s.`,
  )
}

/**
 * A key that signs or will sign, and a live node that has not loaded it although it had enough
 * time.
 */
export interface UnseenKey {
  readonly node: NodeReport
  readonly key: KeyState
}

/**
 * Finds live nodes that have not loaded a key `maxRingAge` after it was made. That is well before
 * its activation, because propagation is longer by at least the time that caches keep a JWKS.
 * Retired keys are not needed, because a node whose clock is ahead may have dropped them already.
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
 * The reports that concern an issuer: without those of the other issuers of the same configuration,
 * which have their own keys and are no sign of a wrong database.
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
  /** Keys that the node should have loaded by now and has not. */
  readonly lacks: readonly KeyFacts[]
  /** True if the node serves another issuer on the same database. */
  readonly hasOtherIssuer: boolean
}

/** Every node, with the keys that it lacks. */
export function surveyNodes(
  reports: readonly NodeReport[],
  states: readonly KeyState[],
  options: UnseenKeysOptions & OtherIssuersOptions,
): readonly SurveyedNode[] {
  const unseen = unseenKeys(reports, states, options)
  const foreign = nodesOfOtherIssuers(reports, options)
  return reports.map((report) => ({
    report,
    state: nodeState(report, options.refreshInterval, options.now),
    lacks: unseen.filter(({ node }) => node === report).map(({ key: { key } }) => key),
    hasOtherIssuer: foreign.includes(report),
  }))
}

/** Describes an unseen key, for the log and for readiness. */
export function unseenWords({ node, key: { key } }: UnseenKey): string {
  return `node ${node.id} has not loaded generation ${key.generation} of ring ${key.ring}`
}

/** Live nodes of another issuer: their configuration, or this node's, names the wrong database. */
export function nodesOfOtherIssuers(
  nodes: readonly NodeReport[],
  { issuer, refreshInterval, now }: OtherIssuersOptions,
): readonly NodeReport[] {
  return nodes.filter(
    (node) => node.issuer !== issuer && nodeState(node, refreshInterval, now) !== 'silent',
  )
}

/** Describes a node of another issuer, for the log, readiness and `nodes list`. */
export function otherIssuerWords({ id, issuer }: NodeReport): string {
  return `node ${id} is on the same database and serves another issuer, ${issuer}`
}

/**
 * Silent nodes that did not stop in good order and may still sign and serve with an outdated ring.
 * Such a node was killed, or runs and uses another database than this node, as after a failover
 * that left two primaries.
 */
export function missingNodes(
  nodes: readonly NodeReport[],
  { refreshInterval, maxRingAge, now }: MissingOptions,
): readonly NodeReport[] {
  return nodes.filter(
    (node) => nodeState(node, refreshInterval, now) === 'silent' && now - node.seenAt <= maxRingAge,
  )
}

/** Describes a missing node, for the log and for readiness. */
export function missingWords({ id, seenAt }: NodeReport): string {
  return (
    `node ${id} has been silent since ${toRfc3339(seenAt)}: it was killed, is cut off from the database, or ` +
    'uses another database (two primaries)'
  )
}

export interface MissingOptions {
  /** Seconds. */
  readonly refreshInterval: number
  /** Seconds. */
  readonly maxRingAge: number
  readonly now: number
}

export interface OtherIssuersOptions {
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

/** Number of nodes in each state. */
export function countNodes(
  nodes: readonly NodeReport[],
  refreshInterval: number,
  now: number,
): Readonly<Record<NodeStateName, number>> {
  const counts = { live: 0, halted: 0, silent: 0 }
  for (const node of nodes) counts[nodeState(node, refreshInterval, now)] += 1
  return counts
}
