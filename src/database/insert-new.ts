import type { EntityManager, EntitySchema, ObjectLiteral } from 'typeorm'

/**
 * Inserts rows in one statement, except for rows whose key exists; no other error is ignored.
 * TypeORM's `orIgnore` is not used, because in MySQL it is INSERT IGNORE, which also truncates long
 * values and drops rows that violate other rules.
 */
export async function insertNew<T extends ObjectLiteral>(
  manager: EntityManager,
  schema: EntitySchema<T>,
  rows: T | readonly T[],
): Promise<void> {
  if (Array.isArray(rows) && rows.length === 0) return
  // TypeORM only reads them.
  const { dataSource } = manager
  const insert = manager
    .createQueryBuilder()
    .insert()
    .into(schema)
    .values(rows as T | T[])
  if (dataSource.options.type !== 'mysql') {
    await insert.orIgnore().execute()
    return
  }
  const [primary] = dataSource.getMetadata(schema).primaryColumns
  const column = dataSource.driver.escape(primary?.databaseName ?? 'id')
  const [sql, parameters] = insert.getQueryAndParameters()
  await manager.query(`${sql} ON DUPLICATE KEY UPDATE ${column} = ${column}`, parameters)
}
