import type { DataSource, EntitySchema, ObjectLiteral } from 'typeorm'

/**
 * Finds the one row whose columns have given values, as a repository would, at a tenth of its cost:
 * for what every sign-in asks.
 * @param by names of the properties to compare, in the order of the values
 */
export function createLookUp<T extends ObjectLiteral>(
  dataSource: DataSource,
  schema: EntitySchema<T>,
  ...by: readonly (keyof T & string)[]
): (...values: readonly string[]) => Promise<T | undefined> {
  const { columns, tableName } = dataSource.getMetadata(schema)
  const { driver } = dataSource
  const nameOf = (property: string) =>
    driver.escape(columns.find((c) => c.propertyName === property)?.databaseName ?? property)
  const names = columns.map((column) => driver.escape(column.databaseName)).join(', ')
  const where = by.map((name, i) => `${nameOf(name)} = ${driver.createParameter(name, i)}`)
  const sql = `SELECT ${names} FROM ${driver.escape(tableName)} WHERE ${where.join(' AND ')}`

  return async (...values) => {
    if (!values.every(isStorable)) return undefined
    const rows: Record<string, unknown>[] = await dataSource.query(sql, [...values])
    const row = rows[0]
    if (!row) return undefined
    const properties = columns.map((column) => [
      column.propertyName,
      driver.prepareHydratedValue(row[column.databaseName], column),
    ])
    return Object.fromEntries(properties)
  }
}

/** PostgreSQL stores no NUL and rejects a query with one, which anybody can type. */
export function isStorable(text: string): boolean {
  return !text.includes('\0')
}
