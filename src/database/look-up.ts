import type Sqlite from 'better-sqlite3-napi'
import type { DataSource, EntitySchema, ObjectLiteral } from 'typeorm'
import type { Owned } from './tables.ts'

/**
 * Finds the one row of an issuer whose columns have given values, as a repository would, at a tenth of
 * its cost: for what every sign-in asks.
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

/** Finds the few rows of an issuer of which any of these columns has the value for it. */
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

/** @param alternatives columns that are compared together; each names the issuer, so that each has its index */
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
    // A text is what it is.
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

/** With SQLite by its own prepared statement, as TypeORM's query runner costs more than the query. */
function createQuery(dataSource: DataSource, sql: string): Query {
  if (dataSource.options.type !== 'better-sqlite3') {
    return (values) => dataSource.query(sql, [...values])
  }
  // The type of all drivers does not have what that of SQLite has.
  const { databaseConnection } = dataSource.driver as unknown as {
    readonly databaseConnection: Sqlite.Database
  }
  let statement: Sqlite.Statement<string[], Record<string, unknown>> | undefined
  return async (values) => {
    // Not before it is asked: the table may not be there yet.
    statement ??= databaseConnection.prepare(sql)
    return statement.all(...values)
  }
}

/** PostgreSQL stores no NUL and rejects a query with one, which anybody can type. */
export function isStorable(text: string): boolean {
  return !text.includes('\0')
}
