import { RingStale } from '../errors.ts'
import type { ClockCheck } from './clock-check.ts'
import { keyEvent } from './key.ts'
import { wouldOutlive } from './lifecycle.ts'
import { NO_RINGS } from './loaded-rings.ts'
import type { RotationPolicies } from './policy.ts'
import type { RingLog } from './ring-log.ts'
import type { Rings } from './rings.ts'
import type { RingStatus } from './status.ts'

/**
 * Allows a signature at the moment it is made, because a request that began long ago must not sign
 * with a key that was revoked meanwhile, or that retired longer ago than twice the skew. The expiry
 * of a token that would outlive the publication of its key is recorded first, so that the key stays
 * published.
 * @param expiresAt `exp` of the token; undefined if it has none
 * @returns a promise only if there is something to wait for
 * @throws RingStale, StoreUnavailable
 */
export type Authorize = (kid: string, expiresAt: number | undefined) => Promise<void> | undefined

export interface AuthorizeOptions {
  readonly status: RingStatus
  readonly rings: Pick<Rings, 'facts' | 'apply'>
  readonly policies: RotationPolicies
  readonly databaseClock: Pick<ClockCheck, 'now'>
  /** Called if the ring should be turned soon, because its view is out of date. */
  readonly onOutdated: () => void
  readonly log: Pick<RingLog, 'warn'>
}

/**
 * Recorded expiries are rounded up to this many seconds, so that the next tokens need no new
 * record.
 */
const RECORD_STEP = 600

export function createAuthorize(options: AuthorizeOptions): Authorize {
  const { status, rings, policies, databaseClock, onOutdated, log } = options
  /** Recorded expiries by kid. */
  const recorded = new Map<string, number>()

  async function record(ring: string, kid: string, expiresAt: number): Promise<void> {
    if ((recorded.get(kid) ?? 0) >= expiresAt) return
    const validUntil = Math.ceil(expiresAt / RECORD_STEP) * RECORD_STEP
    const reason = 'it signed a token that outlives its retention'
    const at = databaseClock.now()
    const actor = 'keyturn'
    const event = keyEvent({ type: 'valid-until', ring, kid, validUntil, reason, at, actor })
    const { keys, heads } = rings.facts ?? NO_RINGS
    await rings.apply({ type: 'record', ring, event, reason }, { keys, heads })
    log.warn(
      { ring, kid, validUntil },
      `ring ${ring}: a key stays published longer, because ${reason}`,
    )
    recorded.set(kid, validUntil)
    onOutdated()
  }

  return (kid, expiresAt) => {
    if (!status.maySign(kid)) {
      onOutdated()
      const why = status.obstacle() ?? 'It was revoked or has retired.'
      throw new RingStale(`Key ${kid} may not sign: ${why}`)
    }
    const state = status.view?.byKid.get(kid)
    if (!state || expiresAt === undefined) return undefined
    const { ring } = state.key
    const now = databaseClock.now()
    if (!wouldOutlive(state, policies.policyFor(ring), { expiresAt, now })) return undefined
    return record(ring, kid, expiresAt)
  }
}
