import type Sqlite from 'better-sqlite3-napi'
import type { DataSource, EntitySchema, ObjectLiteral } from 'typeorm'
import { sqliteConnection } from './sqlite-connection.ts'
import type { Owned } from './tables.ts'

/**
 * Finds the row of an issuer with given values, at a tenth of a repository's cost, for queries of
 * every sign-in.
 * @param by names of the properties to compare, in the order of the values
 */
export function createLookUp<T extends ObjectLiteral>(
  dataSource: DataSource,
  schema: EntitySchema<Owned<T>>,
  ...by: readonly (keyof T & string)[]
): (issuer: string, ...values: readonly string[]) => Promise<T | undefined> {
  const { sql, hydrate } = describe(dataSource, schema, [by])
  const ask = createQuery(dataSource, sql)

  return async (issuer, ...values) => {
    if (!values.every(isStorable)) return undefined
    const [row] = await ask([issuer, ...values])
    return row && hydrate(row)
  }
}

/** Finds the few rows of an issuer in which any of these columns has its value. */
export function createLookUpAny<T extends ObjectLiteral>(
  dataSource: DataSource,
  schema: EntitySchema<Owned<T>>,
  ...any: readonly (keyof T & string)[]
): (issuer: string, ...values: readonly string[]) => Promise<readonly T[]> {
  const { sql, hydrate } = describe(
    dataSource,
    schema,
    any.map((name) => [name]),
  )
  const ask = createQuery(dataSource, sql)

  return async (issuer, ...values) => {
    if (!values.every(isStorable)) return []
    return (await ask(values.flatMap((value) => [issuer, value]))).map(hydrate)
  }
}

/**
 * @param alternatives columns that are compared together; each includes the issuer, so that an
 * index can be used
 */
function describe<T extends ObjectLiteral>(
  dataSource: DataSource,
  schema: EntitySchema<Owned<T>>,
  alternatives: readonly (readonly (keyof T & string)[])[],
) {
  const { columns: all, tableName } = dataSource.getMetadata(schema)
  const { driver } = dataSource
  const nameOf = (property: string) =>
    driver.escape(all.find((c) => c.propertyName === property)?.databaseName ?? property)
  const columns = all.filter(({ propertyName }) => propertyName !== 'issuer')
  const names = columns.map((column) => driver.escape(column.databaseName)).join(', ')
  let place = 0
  const condition = (name: string) => `${nameOf(name)} = ${driver.createParameter(name, place++)}`
  const conditions = alternatives.map((by) => `(${['issuer', ...by].map(condition).join(' AND ')})`)
  const sql = `SELECT ${names} FROM ${driver.escape(tableName)} WHERE ${conditions.join(' OR ')}`
  const read = columns.map((column) => ({
    from: column.databaseName,
    to: column.propertyName,
    // Text needs no conversion.
    isText: (column.type === 'varchar' || column.type === 'text') && !column.transformer,
    column,
  }))
  const hydrate = (row: Record<string, unknown>): T => {
    const properties: Record<string, unknown> = {}
    for (const { from, to, isText, column } of read) {
      properties[to] = isText ? row[from] : driver.prepareHydratedValue(row[from], column)
    }
    // The columns are those of its schema, apart from the issuer.
    return properties as T
  }
  return { sql, hydrate }
}

type Query = (values: readonly string[]) => Promise<readonly Record<string, unknown>[]>

/**
 * Uses a prepared statement of SQLite itself, because TypeORM's query runner costs more than the
 * query.
 */
function createQuery(dataSource: DataSource, sql: string): Query {
  if (dataSource.options.type !== 'better-sqlite3') {
    return (values) => dataSource.query(sql, [...values])
  }
  const { database } = sqliteConnection(dataSource)
  let statement: Sqlite.Statement<string[], Record<string, unknown>> | undefined
  return async (values) => {
    // Prepared at the first query, because the table may not exist before.
    statement ??= database.prepare(sql)
    return statement.all(...values)
  }
}

/** False for text with NUL, which anybody can type and PostgreSQL rejects. */
export function isStorable(text: string): boolean {
  return !text.includes('\0')
}
