import { toRfc3339 } from '../clock.ts'
import type { DatabaseStatus } from '../database/database-status.ts'
import { isReadOnly } from '../database/failures.ts'
import type { DatabaseClock } from '../nodes/database-clock.ts'
import type { Heartbeat } from '../nodes/heartbeat.ts'
import { missingWords, type NodeStateName, otherIssuerWords, unseenWords } from '../nodes/node.ts'
import type { RedisStatus } from '../redis/outage.ts'
import type { Scheduler } from '../ring/scheduler.ts'
import type { WitnessStatus } from '../witness/witness-watch.ts'

/** May this node get requests, and if not, or not quite, why? In words an operator understands. */

/** How many refresh intervals a database may be read-only, as during a failover: as many as make a node silent. */
const READ_ONLY_INTERVALS = 3

/** The answer of one readiness check. */
export interface Check {
  /** May this node get requests? */
  readonly ok: boolean
  /**
   * Something is amiss that does not put requests elsewhere: where all nodes have lost the same
   * Redis, taking all of them out would turn a part of an outage into a whole one.
   */
  readonly degraded?: boolean
  /** In words an operator understands, with numbers. */
  readonly detail: string
  /** Of a kept ring (RFC 3339): when a key is made, when its keeper is late, when applications stand still. */
  readonly dueAt?: string
  readonly lateAt?: string
  readonly endsAt?: string
}

/** The answer of `/health/ready`. */
export interface Readiness {
  /** Are all checks ok? */
  readonly ok: boolean
  /** Is any of them degraded? */
  readonly degraded?: boolean
  readonly checks: Readonly<Record<string, Check>>
  /** Of each issuer, where there are several. */
  readonly issuers?: readonly (Readiness & { readonly issuer: string })[]
  /** Of each worker that runs, where there are several. */
  readonly workers?: readonly (Readiness & { readonly id: number; readonly pid: number })[]
}

export type Checks = Readonly<Record<string, () => Check | Promise<Check>>>

/** Asks all checks at once. */
export async function askChecks(checks: Checks): Promise<Readiness> {
  const results = await Promise.all(
    Object.entries(checks).map(async ([name, check]) => [name, await check()] as const),
  )
  return {
    ok: results.every(([, { ok }]) => ok),
    degraded: results.some(([, { degraded }]) => degraded),
    checks: Object.fromEntries(results),
  }
}

/** Is the key ring as it should be, and if not, since when and why? */
export function ringCheck({ status }: Scheduler): Check {
  const age = `loaded ${Math.round(status.ringAge())} s ago`
  const obstacle = status.obstacle()
  if (obstacle !== undefined) return { ok: false, detail: obstacle }
  if (status.failure) {
    return {
      ok: true,
      degraded: true,
      detail: `${age}; last turn failed: ${status.failure.message}`,
    }
  }
  const degraded = status.warnings.length > 0
  return { ok: true, degraded, detail: [age, ...status.warnings].join('; ') }
}

/** Is this node's clock right, as far as can be known? */
export function clockCheck(databaseClock: DatabaseClock): Check {
  const offset = databaseClock.offset()
  const detail =
    offset === undefined
      ? 'nothing to compare with'
      : `${Math.abs(offset).toFixed(2)} s ${offset < 0 ? 'behind' : 'ahead of'} the database`
  return { ok: databaseClock.isRight(), detail }
}

/** Other nodes are no reason to take this one away. */
export function nodesCheck(
  {
    unseen,
    nodesOfOtherIssuers,
    missing,
  }: Pick<Heartbeat, 'unseen' | 'nodesOfOtherIssuers' | 'missing'>,
  { live, halted, silent }: Readonly<Record<NodeStateName, number>>,
): Check {
  const alarms = [
    ...unseen.map(unseenWords),
    ...nodesOfOtherIssuers.map(otherIssuerWords),
    ...missing.map(missingWords),
  ]
  const counts = `${live} live, ${halted} halted, ${silent} silent`
  return { ok: true, degraded: alarms.length > 0, detail: [counts, ...alarms].join('; ') }
}

/**
 * Ready even so: what needs no Redis goes on, the JWKS first of all, and a load balancer that took
 * away every node would take that away too.
 */
export function redisCheck(
  { isReachable, detail }: Pick<RedisStatus, 'isReachable' | 'detail'>,
  isStrict = false,
): Check {
  return { ok: isReachable || !isStrict, degraded: !isReachable, detail }
}

/**
 * Ready even where the database fails, for the same reason, unless an operator whose load balancer knows
 * better asks for the opposite; degraded from the first statement that failed.
 */
export function databaseCheck(
  { isUsable, isSound, detail }: Pick<DatabaseStatus, 'isUsable' | 'isSound' | 'detail'>,
  isStrict = false,
): Check {
  return { ok: isUsable || !isStrict, degraded: !isSound, detail }
}

/**
 * Not ready where this node cannot write and others can, or where its database has been read-only for
 * longer than a failover takes, as an old primary is. A node that can neither write nor read cannot
 * know how others are.
 * @param options refreshInterval: seconds; now: by the clock of the database
 */
export function writesCheck(
  { failure }: Pick<Heartbeat, 'failure'>,
  { refreshInterval, now }: { readonly refreshInterval: number; readonly now: number },
): Check {
  if (!failure) return { ok: true, detail: 'this node can write to the database' }
  const { since, error, others } = failure
  const reason = error instanceof Error ? error.message : String(error)
  const detail = `this node has not been able to write since ${toRfc3339(since)}: ${reason}`
  if (others.length > 0) {
    const ids = others.map(({ id }) => id).join(', ')
    return { ok: false, detail: `${detail}. Others can: ${ids}` }
  }
  const patience = READ_ONLY_INTERVALS * refreshInterval
  if (isReadOnly(error) && now - since > patience) {
    return { ok: false, detail: `${detail}. It has been read-only for longer than ${patience} s` }
  }
  return { ok: true, degraded: true, detail }
}

/** Ready even so: keys turn without a witness; what is missing is the proof that none was lost. */
export function witnessCheck({ isDegraded, detail }: WitnessStatus): Check {
  return { ok: true, degraded: isDegraded, detail }
}
