import type {
  DataSource,
  EntitySchema,
  FindOptionsWhere,
  ObjectLiteral,
  QueryRunner,
} from 'typeorm'
import type { RowMac } from '../artifacts/row-mac.ts'
import type { Entry } from '../audit/record.ts'
import type { Authentic } from './authentic.ts'
import { differing, whileOthersWrite } from './change-row.ts'
import { isDuplicate } from './failures.ts'
import { type Statement, sqliteConnection } from './sqlite-connection.ts'
import { type AuditRow, auditSchema, withoutIssuer } from './tables.ts'

/**
 * Changes rows, and records each change in its transaction: both are done or neither. A change
 * without an entry is not recorded, because nobody ordered it.
 */
export interface Recorder {
  /** Inserts a row. @returns false if its place is taken */
  insert<T extends ObjectLiteral>(schema: EntitySchema<T>, row: T, entry?: Entry): Promise<boolean>
  /**
   * Writes the columns in which two rows differ.
   * @param where condition that finds the row while it is unchanged
   * @returns false if the row has changed meanwhile
   */
  update<T extends ObjectLiteral>(
    schema: EntitySchema<T>,
    where: FindOptionsWhere<T>,
    rows: { readonly before: ObjectLiteral; readonly after: ObjectLiteral },
    entry?: Entry,
  ): Promise<boolean>
  /** Deletes a row. @returns false if there is none */
  remove<T extends ObjectLiteral>(
    schema: EntitySchema<T>,
    where: FindOptionsWhere<T>,
    entry?: Entry,
  ): Promise<boolean>
}

export function createRecorder(dataSource: DataSource, authentic: Authentic): Recorder {
  const { issuer } = authentic
  const records = dataSource.getRepository(auditSchema)
  const insertion = <T extends ObjectLiteral>(schema: EntitySchema<T>, row: T): Statement =>
    dataSource.createQueryBuilder().insert().into(schema).values(row).getQueryAndParameters()

  /** The first free number after the newest genuine record: others may have written any number. */
  async function nextNumber(audit: RowMac<AuditRow>): Promise<number> {
    const where = { issuer }
    const [newest] = await records.find({ where, order: { number: 'DESC' }, take: 1 })
    if (!newest) return 1
    if (audit.check(withoutIssuer(newest))) return newest.number + 1
    const all = (await records.find({ where })).map((row) => withoutIssuer(row))
    const genuine = all.flatMap((row) => audit.check(row)?.number ?? [])
    const taken = new Set(all.map((row) => row.number))
    let next = 1 + genuine.reduce((most, number) => Math.max(most, number), 0)
    while (taken.has(next)) next += 1
    return next
  }

  async function write(change: Statement, entry: Entry | undefined): Promise<boolean> {
    if (!entry) return (await writeTogether(dataSource, change)) === 'changed'
    const { audit } = await authentic.open()
    return whileOthersWrite('the list of orders', async () => {
      const row = audit.sign(toRow(entry, await nextNumber(audit)))
      const record = insertion(auditSchema, { ...row, issuer })
      const outcome = await writeTogether(dataSource, change, record)
      return outcome === 'number taken' ? undefined : { done: outcome === 'changed' }
    })
  }

  return {
    insert: (schema, row, entry) => write(insertion(schema, row), entry),
    update: async (schema, where, { before, after }, entry) => {
      const columns = differing(before, after)
      if (!columns) return true
      const builder = dataSource.createQueryBuilder().update<ObjectLiteral>(schema)
      const update = builder.set(columns).where(where)
      return write(update.getQueryAndParameters(), entry)
    },
    remove: (schema, where, entry) => {
      const builder = dataSource.createQueryBuilder().delete().from(schema).where(where)
      return write(builder.getQueryAndParameters(), entry)
    },
  }
}

function toRow({ by, subject, changed }: Entry, number: number): AuditRow {
  const { at, actor, reason, action } = by
  const { id: subjectId, username: subjectName = null } = subject
  const names = JSON.stringify(changed)
  return { number, at, actor, reason, action, subjectId, subjectName, changed: names }
}

/**
 * Runs a change, and then the insertion of its record unless nothing changed, in one transaction.
 * @returns 'number taken' if another process wrote a record meanwhile; then nothing was done
 */
async function writeTogether(
  dataSource: DataSource,
  change: Statement,
  record?: Statement,
): Promise<'changed' | 'unchanged' | 'number taken'> {
  let isChanged = false
  try {
    if (dataSource.options.type === 'better-sqlite3') {
      const { database, run } = sqliteConnection(dataSource)
      // Within one turn of the event loop, because all work shares one connection and would become
      // part of the transaction.
      const both = database.transaction(() => {
        isChanged = run(change) > 0
        if (isChanged && record) run(record)
      })
      both.immediate()
    } else {
      await dataSource.transaction(async ({ queryRunner }) => {
        isChanged = (await runOnServer(queryRunner, change)) > 0
        if (isChanged && record) await runOnServer(queryRunner, record)
      })
    }
    return isChanged ? 'changed' : 'unchanged'
  } catch (error) {
    if (!isDuplicate(error)) throw error
    return isChanged ? 'number taken' : 'unchanged'
  }
}

/** @returns the number of changed rows */
async function runOnServer(
  runner: QueryRunner | undefined,
  [sql, parameters]: Statement,
): Promise<number> {
  const result = await runner?.query(sql, [...parameters], true)
  return result?.affected ?? 0
}
