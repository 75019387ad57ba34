import { isPublished } from '../ring/lifecycle.ts'
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

/** Failure of this node to write its report, and the nodes that could write meanwhile. */
export interface WriteFailure {
  /** Instant by the clock of the database. */
  readonly since: number
  readonly error: unknown
  /** Nodes that have written since; empty if none can, or if this node cannot read either. */
  readonly others: readonly NodeReport[]
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

/** Seconds for which a silent node stays in the list, so that operators can see it. */
const SILENT_NODE_KEPT = 86_400

export function createHeartbeat(options: HeartbeatOptions): Heartbeat {
  const { store, databaseClock, policies, refreshInterval, siblings = [], log } = options
  const listNodes = async () => reportsFor(siblings, await store.list())
  let nodes: readonly NodeReport[] = []
  let unseen: readonly UnseenKey[] = []
  let ofOtherIssuers: readonly NodeReport[] = []
  let missing: readonly NodeReport[] = []
  let failure: WriteFailure | undefined
  /** Alarms that were logged and still hold. */
  let logged = new Set<string>()
  let isFailing = false
  let beating: Promise<void> | undefined

  /** Writes this node's report. If that fails, still reads whether other nodes can write. */
  async function report(status: RingStatus, now: number): Promise<void> {
    const states = status.view?.states ?? []
    try {
      await store.report({
        ...options.node,
        seenAt: now,
        ringHash: status.view?.hash ?? '',
        ringAge: Math.round(Math.min(status.ringAge(), SILENT_NODE_KEPT)),
        clockOffset: databaseClock.offset() ?? null,
        kids: states.filter(isPublished).map((state) => state.key.kid),
        obstacle: status.obstacle() ?? null,
      })
      failure = undefined
    } catch (error) {
      const since = failure?.since ?? now
      failure = { since, error, others: failure?.others ?? [] }
      const { id } = options.node
      nodes = await listNodes().catch(() => [])
      failure = {
        since,
        error,
        others: nodes.filter((node) => node.id !== id && node.seenAt > since),
      }
      throw error
    }
  }

  async function exchange(status: RingStatus): Promise<void> {
    const now = databaseClock.now()
    const states = status.view?.states ?? []
    await report(status, now)
    await store.forget(now - SILENT_NODE_KEPT)
    nodes = await listNodes()
    const { issuer, id } = options.node
    missing = missingNodes(nodes, { ...options, now }).filter((node) => node.id !== id)
    unseen = unseenKeys(nodes, states, { policies, refreshInterval, now })
    ofOtherIssuers = nodesOfOtherIssuers(nodes, { issuer, refreshInterval, now })
    logNew([
      ...unseen.map((each) => [unseenWords(each), dataOf(each)] as const),
      ...ofOtherIssuers.map((node) => [otherIssuerWords(node), { node: node.id }] as const),
      ...missing.map((node) => [missingWords(node), { node: node.id }] as const),
    ])
  }

  function logNew(alarms: readonly (readonly [words: string, data: object])[]): void {
    for (const [words, data] of alarms) if (!logged.has(words)) log.error(data, words)
    logged = new Set(alarms.map(([words]) => words))
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
      return failure
    },
  }
}

function dataOf({ node, key: { key, activatesAt } }: UnseenKey) {
  const { ring, generation, kid } = key
  return { node: node.id, ring, generation, kid, activatesAt }
}
