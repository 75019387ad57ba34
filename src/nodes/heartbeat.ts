import { isPublished } from '../ring/lifecycle.ts'
import type { RotationPolicies } from '../ring/policy.ts'
import type { RingLog } from '../ring/ring-log.ts'
import type { RingStatus } from '../ring/status.ts'
import type { DatabaseClock } from './database-clock.ts'
import {
  missingNodes,
  missingWords,
  type NodeReport,
  reportsFor,
  strangers,
  strangerWords,
  type UnseenKey,
  unseenKeys,
  unseenWords,
} from './node.ts'
import type { NodeStore } from './node-store.ts'

/**
 * Tells the other nodes of this one, and hears of them. It only watches: where it fails, nothing
 * stops, and where it warns, `maxRingAge` has kept or will keep the promise all the same.
 */
export interface Heartbeat {
  /**
   * Tells and listens, unless it is still at it. Nobody waits for it: a failure is logged once, and
   * the last answer stands.
   */
  beat(status: RingStatus): void
  /** This node stops in good order; resolves when nothing is under way. Never rejects. */
  stop(): Promise<void>
  /** All nodes, as last heard. */
  readonly nodes: readonly NodeReport[]
  /** Live nodes that lack a key which will sign. */
  readonly unseen: readonly UnseenKey[]
  /** Nodes that share this database and serve another issuer. */
  readonly strangers: readonly NodeReport[]
  /** Nodes that fell silent, while they may still sign: killed, cut off, or on another database. */
  readonly missing: readonly NodeReport[]
  /** How what this node writes of itself fails; undefined where it was written the last time. */
  readonly failure: WriteFailure | undefined
}

/** This node cannot write; others may, or not. */
export interface WriteFailure {
  /** By the clock of the database. */
  readonly since: number
  readonly error: unknown
  /** Nodes that have written since; none where nobody can, or where this one cannot read either. */
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
  /** Other issuers of this process, which tell of themselves. */
  readonly siblings?: readonly string[]
  readonly log: RingLog
}

/** Seconds that a node which fell silent stays in the list: somebody may come and look. */
const MEMORY = 86_400

export function createHeartbeat(options: HeartbeatOptions): Heartbeat {
  const { store, databaseClock, policies, refreshInterval, siblings = [], log } = options
  const listNodes = async () => reportsFor(siblings, await store.list())
  let nodes: readonly NodeReport[] = []
  let unseen: readonly UnseenKey[] = []
  let foreign: readonly NodeReport[] = []
  let missing: readonly NodeReport[] = []
  let failure: WriteFailure | undefined
  /** What was logged and has not gone since. */
  let told = new Set<string>()
  let isFailing = false
  let beating: Promise<void> | undefined

  /** Writes of this node. Where that fails, whether others can is read all the same. */
  async function report(status: RingStatus, now: number): Promise<void> {
    const states = status.view?.states ?? []
    try {
      await store.report({
        ...options.node,
        seenAt: now,
        ringHash: status.view?.hash ?? '',
        ringAge: Math.round(Math.min(status.ringAge(), MEMORY)),
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
    await store.forget(now - MEMORY)
    nodes = await listNodes()
    const { issuer, id } = options.node
    missing = missingNodes(nodes, { ...options, now }).filter((node) => node.id !== id)
    unseen = unseenKeys(nodes, states, { policies, refreshInterval, now })
    foreign = strangers(nodes, { issuer, refreshInterval, now })
    tell([
      ...unseen.map((each) => [unseenWords(each), dataOf(each)] as const),
      ...foreign.map((node) => [strangerWords(node), { node: node.id }] as const),
      ...missing.map((node) => [missingWords(node), { node: node.id }] as const),
    ])
  }

  function tell(alarms: readonly (readonly [words: string, data: object])[]): void {
    for (const [words, data] of alarms) if (!told.has(words)) log.error(data, words)
    told = new Set(alarms.map(([words]) => words))
  }

  return {
    beat: (status) => {
      beating ??= exchange(status)
        .then(() => {
          isFailing = false
        })
        .catch((error: unknown) => {
          if (!isFailing) log.warn({ err: error }, 'nodes cannot hear of each other')
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
    get strangers() {
      return foreign
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
