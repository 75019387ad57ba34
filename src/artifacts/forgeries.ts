import type { Clock } from '../clock.ts'
import { createSeldomLog, type Log, type SeldomOptions } from '../seldom-log.ts'

/** Kinds of records that are authenticated. */
export const RECORD_KINDS = ['artifact', 'client', 'account', 'consent'] as const

export type RecordKind = (typeof RECORD_KINDS)[number]

/**
 * Called for each record that failed its check, because another program wrote, changed or moved it,
 * or it was written under another secret of the deployment. Such a record counts as absent.
 * @param name of the record, if it is no secret
 */
export type OnForgery = (kind: RecordKind, name?: string) => void

/** Counts and logs records that failed their check. */
export interface Forgeries {
  readonly note: OnForgery
  count(kind: RecordKind): number
}

/**
 * At most one line a minute, with the number of records, because an attacker could make any number
 * of them.
 */
const SELDOM: SeldomOptions = { burst: 1, pause: 60 }

const FORGED =
  'a record of the store failed its check and counts as absent: somebody else wrote or changed it, ' +
  'or it was written under another secret of the deployment'

export function createForgeries(log: Log, clock: Pick<Clock, 'elapsed'>): Forgeries {
  const seldom = createSeldomLog(log, clock, SELDOM)
  const counts = new Map<RecordKind, number>()
  return {
    count: (kind) => counts.get(kind) ?? 0,
    note: (kind, name) => {
      counts.set(kind, (counts.get(kind) ?? 0) + 1)
      seldom.error({ kind, ...(name === undefined ? {} : { name }) }, FORGED)
    },
  }
}
