import type { DataSource } from 'typeorm'
import type { AuditStore } from '../audit/audit-store.ts'
import type { AuditRecord } from '../audit/record.ts'
import type { Authentic } from './authentic.ts'
import { attemptRead } from './failures.ts'
import { type AuditRow, auditSchema, withoutIssuer } from './tables.ts'

/** Records of one issuer in the table `audit_record`, which `recorder.ts` writes. */
export function createSqlAudit(dataSource: DataSource, authentic: Authentic): AuditStore {
  const { issuer } = authentic
  const records = dataSource.getRepository(auditSchema)
  return {
    list: () =>
      attemptRead('read the records of orders', async () => {
        const { audit } = await authentic.open()
        const rows = await records.find({ where: { issuer }, order: { number: 'ASC' } })
        return rows.map((row) => {
          const checked = audit.check(withoutIssuer(row))
          return checked ? toRecord(checked) : toForgedRecord(row)
        })
      }),
  }
}

function toRecord(row: AuditRow): AuditRecord {
  const { number, at, actor, reason, action, subjectId: id, subjectName: username } = row
  const subject = username === null ? { id } : { id, username }
  const changed = JSON.parse(row.changed)
  return { number, at, actor, reason, action, subject, changed, isForged: false }
}

/** Last instant with a year of four digits. */
const LAST_INSTANT = 253_402_300_799

/** Makes a listing possible whatever somebody wrote; SQLite keeps any value in any column. */
function toForgedRecord({ number, at, subjectName, ...row }: AuditRow): AuditRecord {
  const isInstant = Number.isInteger(at) && at >= 0 && at <= LAST_INSTANT
  const legible = {
    number,
    at: isInstant ? at : 0,
    actor: String(row.actor),
    reason: String(row.reason),
    action: String(row.action),
    subjectId: String(row.subjectId),
    subjectName: subjectName === null ? null : String(subjectName),
    changed: '[]',
  }
  return { ...toRecord(legible), isForged: true }
}
