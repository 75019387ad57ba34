import type { DatabaseClock } from './database-clock.ts'
import { isPublished } from './lifecycle.ts'
import { type NodeReport, type UnseenKey, unseenKeys, unseenWords } from './node.ts'
import type { NodeStore } from './node-store.ts'
import type { RotationPolicies } from './policy.ts'
import type { SchedulerLog, SchedulerStatus } from './scheduler.ts'

/**
 * Tells the other nodes of this one, and hears of them. It only watches: where it fails, nothing
 * stops, and where it warns, `maxRingAge` has kept or will keep the promise all the same.
 */
export interface Heartbeat {
  /**
   * Tells and listens, unless it is still at it. Nobody waits for it: a failure is logged once, and
   * the last answer stands.
   */
  beat(status: SchedulerStatus): void
  /** This node stops in good order; resolves when nothing is under way. Never rejects. */
  stop(): Promise<void>
  /** All nodes, as last heard. */
  readonly nodes: readonly NodeReport[]
  /** Live nodes that lack a key which will sign. */
  readonly unseen: readonly UnseenKey[]
}

export interface HeartbeatOptions {
  readonly store: NodeStore
  readonly databaseClock: DatabaseClock
  readonly policies: RotationPolicies
  /** Seconds between two turns of the scheduler. */
  readonly refreshInterval: number
  readonly node: Pick<NodeReport, 'id' | 'version' | 'startedAt'>
  readonly log: SchedulerLog
}

/** Seconds that a node which fell silent stays in the list: somebody may come and look. */
const MEMORY = 86_400

export function createHeartbeat(options: HeartbeatOptions): Heartbeat {
  const { store, databaseClock, policies, refreshInterval, log } = options
  let nodes: readonly NodeReport[] = []
  let unseen: readonly UnseenKey[] = []
  let isFailing = false
  let beating: Promise<void> | undefined

  async function exchange(status: SchedulerStatus): Promise<void> {
    const now = databaseClock.now()
    const states = status.view?.states ?? []
    await store.report({
      ...options.node,
      seenAt: now,
      ringHash: status.view?.hash ?? '',
      ringAge: Math.round(Math.min(status.ringAge(), MEMORY)),
      clockOffset: databaseClock.offset() ?? null,
      kids: states.filter(isPublished).map((state) => state.key.kid),
      obstacle: status.obstacle() ?? null,
    })
    await store.forget(now - MEMORY)
    nodes = await store.list()
    const found = unseenKeys(nodes, states, { policies, refreshInterval, now })
    for (const { node, key } of found) {
      if (unseen.some((known) => known.node.id === node.id && known.key.key.kid === key.key.kid)) {
        continue
      }
      const { ring, generation, kid } = key.key
      const data = { node: node.id, ring, generation, kid, activatesAt: key.activatesAt }
      log.error(data, unseenWords({ node, key }))
    }
    unseen = found
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
      await store.remove(options.node.id).catch(() => {})
    },
    get nodes() {
      return nodes
    },
    get unseen() {
      return unseen
    },
  }
}
