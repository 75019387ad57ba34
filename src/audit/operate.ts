import type { AuditStore } from './audit-store.ts'
import type { AuditRecord, Subject } from './record.ts'

/** Shows operators the records. */

/** Numbers that no record has, both ends included. */
export interface Gap {
  readonly first: number
  readonly last: number
}

export interface Listing {
  /** Records in the order of their numbers. */
  readonly records: readonly AuditRecord[]
  /** Records of the issuer that somebody deleted. Newest records that are gone leave no gap. */
  readonly missing: readonly Gap[]
}

/**
 * Lists records about accounts or about clients. Every listing has all forged records, because
 * their subjects may be forged too.
 * @param isWanted chooses subjects
 */
export async function listRecords(
  about: 'account' | 'client',
  isWanted: (subject: Subject) => boolean,
  audit: AuditStore,
): Promise<Listing> {
  const all = await audit.list()
  const records = all.filter(
    ({ isForged, action, subject }) =>
      isForged || (action.startsWith(`${about}_`) && isWanted(subject)),
  )
  return { records, missing: gapsIn(all) }
}

function gapsIn(records: readonly AuditRecord[]): readonly Gap[] {
  return records.flatMap(({ number }, place) => {
    const first = (records[place - 1]?.number ?? 0) + 1
    return first < number ? [{ first, last: number - 1 }] : []
  })
}
