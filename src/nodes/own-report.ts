import { isPublished } from '../ring/lifecycle.ts'
import type { RingStatus } from '../ring/status.ts'
import type { DatabaseClock } from './database-clock.ts'
import type { NodeReport } from './node.ts'
import type { NodeStore } from './node-store.ts'

/** Report of this node, which it writes for the others. */
export interface OwnReport {
  /**
   * Writes the report. If that fails, still reads whether other nodes can write.
   * @param now instant by the clock of the database
   * @throws what the store throws
   */
  write(status: RingStatus, now: number): Promise<void>
  /** Failure of the last write; undefined if it succeeded. */
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

export interface OwnReportOptions {
  readonly store: Pick<NodeStore, 'report'>
  readonly databaseClock: Pick<DatabaseClock, 'offset'>
  readonly node: Pick<NodeReport, 'id' | 'version' | 'issuer' | 'startedAt'>
}

/** Seconds for which a silent node stays in the list, so that operators can see it. */
export const SILENT_NODE_KEPT = 86_400

/** @param readNodes reads the reports of all nodes; none if that fails */
export function createOwnReport(
  { store, databaseClock, node }: OwnReportOptions,
  readNodes: () => Promise<readonly NodeReport[]>,
): OwnReport {
  let failure: WriteFailure | undefined

  async function write(status: RingStatus, now: number): Promise<void> {
    const states = status.view?.states ?? []
    try {
      await store.report({
        ...node,
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
      const nodes = await readNodes()
      failure = {
        since,
        error,
        others: nodes.filter(({ id, seenAt }) => id !== node.id && seenAt > since),
      }
      throw error
    }
  }

  return {
    write,
    get failure() {
      return failure
    },
  }
}
