import type { AuditRecord } from './record.ts'

/**
 * Records of one issuer. The stores of accounts and clients write them, each in the transaction of
 * its change, so that there is no change without its record and no record without its change.
 */
export interface AuditStore {
  /** Lists all records in the order of their numbers, forged ones included. */
  list(): Promise<readonly AuditRecord[]>
}
