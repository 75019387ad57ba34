import { toRfc3339 } from '../clock.ts'
import type { DatabaseStatus } from '../database/database-status.ts'
import { isReadOnly } from '../database/failures.ts'
import type { DatabaseClock } from '../nodes/database-clock.ts'
import type { Heartbeat } from '../nodes/heartbeat.ts'
import { missingWords, type NodeStateName, otherIssuerWords, unseenWords } from '../nodes/node.ts'
import type { RedisStatus } from '../redis/outage.ts'
import type { Scheduler } from '../ring/scheduler.ts'
import type { WitnessStatus } from '../witness/witness-watch.ts'

/** Readiness checks: whether this node may get requests, and the reasons for operators if not. */

/**
 * Refresh intervals for which a database may be read-only, as during a failover; the same as for a
 * silent node.
 */
const READ_ONLY_INTERVALS = 3

/** The answer of one readiness check. */
export interface Check {
  /** True if this node may get requests. */
  readonly ok: boolean
  /**
   * True for a problem that must not move requests elsewhere: if all nodes have lost the same
   * Redis, dropping all of them would turn a partial outage into a complete one.
   */
  readonly degraded?: boolean
  /** Description in words for operators, with numbers. */
  readonly detail: string
  /**
   * Instants of a kept ring (RFC 3339): when a key is made, when its keeper is late, when
   * applications fail.
   */
  readonly dueAt?: string
  readonly lateAt?: string
  readonly endsAt?: string
}

/** The answer of `/health/ready`. */
export interface Readiness {
  /** True if all checks are ok. */
  readonly ok: boolean
  /** True if any check is degraded. */
  readonly degraded?: boolean
  readonly checks: Readonly<Record<string, Check>>
  /** Readiness of each issuer, if there are several. */
  readonly issuers?: readonly (Readiness & { readonly issuer: string })[]
}

export type Checks = Readonly<Record<string, () => Check | Promise<Check>>>

/** Runs all checks in parallel. */
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

/** Check of the rings' age and last turn. */
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

/** Check of this node's clock against the database's. */
export function clockCheck(databaseClock: DatabaseClock): Check {
  const offset = databaseClock.offset()
  const detail =
    offset === undefined
      ? 'nothing to compare with'
      : `${Math.abs(offset).toFixed(2)} s ${offset < 0 ? 'behind' : 'ahead of'} the database`
  return { ok: databaseClock.isRight(), detail }
}

/** Check of other nodes; their problems never make this node unready. */
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
 * Check that stays ready without Redis, because everything that needs no Redis still works, above
 * all the JWKS, and a load balancer that dropped every node would drop that too.
 */
export function redisCheck(
  { isReachable, detail }: Pick<RedisStatus, 'isReachable' | 'detail'>,
  isStrict = false,
): Check {
  return { ok: isReachable || !isStrict, degraded: !isReachable, detail }
}

/**
 * Check that stays ready without the database, for the same reason, unless an operator's setting
 * asks for the opposite; degraded from the first failed statement on.
 */
export function databaseCheck(
  { isUsable, isSound, detail }: Pick<DatabaseStatus, 'isUsable' | 'isSound' | 'detail'>,
  isStrict = false,
): Check {
  return { ok: isUsable || !isStrict, degraded: !isSound, detail }
}

/**
 * Check that is not ready if this node cannot write and others can, or if its database has been
 * read-only for longer than a failover takes, as an old primary is. A node that can neither write
 * nor read cannot tell about others.
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

/**
 * Check that stays ready, because keys rotate without a witness; only the proof that no revocation
 * was lost is missing.
 */
export function witnessCheck({ isDegraded, detail }: WitnessStatus): Check {
  return { ok: true, degraded: isDegraded, detail }
}
