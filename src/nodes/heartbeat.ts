import type { RotationPolicies } from '../ring/policy.ts'
import type { RingLog } from '../ring/ring-log.ts'
import type { RingStatus } from '../ring/status.ts'
import type { DatabaseClock } from './database-clock.ts'
import {
  missingNodes,
  missingWords,
  type NodeReport,
  nodesOfOtherIssuers,
  otherIssuerWords,
  reportsFor,
  type UnseenKey,
  unseenKeys,
  unseenWords,
} from './node.ts'
import type { NodeStore } from './node-store.ts'
import { createOwnReport, SILENT_NODE_KEPT, type WriteFailure } from './own-report.ts'

/**
 * Exchanges status reports between nodes. Only observes: its failure stops nothing, and when it
 * warns, `maxRingAge` still guarantees that no node signs with an outdated ring.
 */
export interface Heartbeat {
  /**
   * Reports this node and reads the others' reports, unless an earlier call is still running.
   * Callers do not wait: a failure is logged once, and the last reports are kept.
   */
  beat(status: RingStatus): void
  /**
   * Removes this node's report, because it stops in good order. Resolves when no exchange is
   * running. Never rejects.
   */
  stop(): Promise<void>
  /** Last known reports of all nodes. */
  readonly nodes: readonly NodeReport[]
  /** Live nodes that lack a key that signs or will sign. */
  readonly unseen: readonly UnseenKey[]
  /** Nodes of another issuer on this database. */
  readonly nodesOfOtherIssuers: readonly NodeReport[]
  /** Silent nodes that may still sign: killed, cut off, or on another database. */
  readonly missing: readonly NodeReport[]
  /** Failure to write this node's report; undefined if the last write succeeded. */
  readonly failure: WriteFailure | undefined
}

export interface HeartbeatOptions {
  readonly store: NodeStore
  readonly databaseClock: DatabaseClock
  readonly policies: RotationPolicies
  /** Seconds between two turns of the scheduler. */
  readonly refreshInterval: number
  /** Seconds after which a node that could not load the ring neither signs nor serves. */
  readonly maxRingAge: number
  readonly node: Pick<NodeReport, 'id' | 'version' | 'issuer' | 'startedAt'>
  /** Other issuers of this process, which report themselves. */
  readonly siblings?: readonly string[]
  readonly log: RingLog
}

export function createHeartbeat(options: HeartbeatOptions): Heartbeat {
  const { store, databaseClock, policies, refreshInterval, siblings = [], log } = options
  let nodes: readonly NodeReport[] = []
  let unseen: readonly UnseenKey[] = []
  let ofOtherIssuers: readonly NodeReport[] = []
  let missing: readonly NodeReport[] = []
  let isFailing = false
  let beating: Promise<void> | undefined
  const alarms = createAlarmLog(log)
  const listNodes = async () => reportsFor(siblings, await store.list())
  const own = createOwnReport(options, async () => {
    nodes = await listNodes().catch(() => [])
    return nodes
  })

  async function exchange(status: RingStatus): Promise<void> {
    const now = databaseClock.now()
    const states = status.view?.states ?? []
    await own.write(status, now)
    await store.forget(now - SILENT_NODE_KEPT)
    nodes = await listNodes()
    const { issuer, id } = options.node
    missing = missingNodes(nodes, { ...options, now }).filter((node) => node.id !== id)
    unseen = unseenKeys(nodes, states, { policies, refreshInterval, now })
    ofOtherIssuers = nodesOfOtherIssuers(nodes, { issuer, refreshInterval, now })
    alarms.logNew([
      ...unseen.map((each) => [unseenWords(each), dataOf(each)] as const),
      ...ofOtherIssuers.map((node) => [otherIssuerWords(node), { node: node.id }] as const),
      ...missing.map((node) => [missingWords(node), { node: node.id }] as const),
    ])
  }

  return {
    beat: (status) => {
      beating ??= exchange(status)
        .then(() => {
          isFailing = false
        })
        .catch((error: unknown) => {
          if (!isFailing)
            log.warn({ err: error }, 'cannot exchange node status through the database')
          isFailing = true
        })
        .finally(() => {
          beating = undefined
        })
    },
    stop: async () => {
      await beating
      await store.remove(options.node).catch(() => {})
    },
    get nodes() {
      return nodes
    },
    get unseen() {
      return unseen
    },
    get nodesOfOtherIssuers() {
      return ofOtherIssuers
    },
    get missing() {
      return missing
    },
    get failure() {
      return own.failure
    },
  }
}

/** Logs each alarm once, and again after it was over. */
function createAlarmLog(log: RingLog) {
  /** Alarms that were logged and still hold. */
  let logged = new Set<string>()
  return {
    logNew(alarms: readonly (readonly [words: string, data: object])[]): void {
      for (const [words, data] of alarms) if (!logged.has(words)) log.error(data, words)
      logged = new Set(alarms.map(([words]) => words))
    },
  }
}

function dataOf({ node, key: { key, activatesAt } }: UnseenKey) {
  const { ring, generation, kid } = key
  return { node: node.id, ring, generation, kid, activatesAt }
}
