import type Sqlite from 'better-sqlite3-napi'
import type { DataSource } from 'typeorm'

/** A statement of TypeORM (`getQueryAndParameters`). */
export type Statement = readonly [sql: string, parameters: readonly unknown[]]

/** SQLite's own connection, for work that must not leave the turn of the event loop. */
export interface SqliteConnection {
  readonly database: Sqlite.Database
  /** Runs a statement. @returns the number of changed rows */
  run(statement: Statement): number
}

/** @param dataSource of SQLite */
export function sqliteConnection({ driver }: DataSource): SqliteConnection {
  // TypeORM's type of a driver lacks the connection.
  const { databaseConnection: database } = driver as unknown as {
    readonly databaseConnection: Sqlite.Database
  }
  return {
    database,
    run: ([sql, parameters]) => database.prepare(sql).run(...parameters).changes,
  }
}
