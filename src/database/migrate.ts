import { setTimeout as delay } from 'node:timers/promises'
import { type DataSource, MigrationExecutor, type QueryRunner } from 'typeorm'
import { MIGRATIONS_TABLE } from './database.ts'
import { attempt, attemptRead } from './failures.ts'
import { waitForever } from './impatience.ts'

/** Number of retries of a migration while another process migrates. */
const MIGRATION_RETRIES = 20
const MIGRATION_PAUSE = 100

const UNIQUE_NAME = 'migration_name'

/** Number of PostgreSQL's lock for migrations: the letters of "keyt". */
const POSTGRES_LOCK = 0x6b657974

/**
 * Brings the schema up to date. Any number of processes may do so at once, each migration is
 * applied once, and the next process can continue after one that was killed:
 *
 * - SQLite: all in one transaction. One process wins, the others try again and find it done.
 * - PostgreSQL: all in one transaction, which holds a lock; the others wait for it.
 * - MariaDB, MySQL: they commit each statement that changes the schema at once, so migrations are
 *   made of steps that can be done again, under a lock that ends with its connection. In a cluster
 *   the lock is local to a node, so the name of a migration is unique too: the second process finds
 *   it noted, tries again and finds it done.
 * @returns the names of the migrations that this process applied
 * @throws StoreUnavailable
 */
export async function migrate(dataSource: DataSource): Promise<readonly string[]> {
  const status = await migrationStatus(dataSource)
  if (status.every((migration) => migration.applied)) return []
  return attempt('migrate the database', async () => {
    for (let left = MIGRATION_RETRIES; ; left--) {
      try {
        return await migrateOnce(dataSource)
      } catch (error) {
        if (left === 0) throw error
        await delay(MIGRATION_PAUSE)
      }
    }
  })
}

async function migrateOnce(dataSource: DataSource): Promise<readonly string[]> {
  const runner = dataSource.createQueryRunner()
  try {
    switch (dataSource.options.type) {
      case 'postgres':
        return await migratePostgres(runner)
      case 'mysql':
        return await migrateMysql(runner)
      default:
        return await applyPending(runner, 'all')
    }
  } finally {
    await runner.release()
  }
}

async function migratePostgres(runner: QueryRunner): Promise<readonly string[]> {
  // No limit, because a large table, or another process with the lock, may take long.
  waitForever(await runner.connect())
  await runner.startTransaction()
  try {
    await runner.query('SET LOCAL statement_timeout = 0')
    await runner.query(`SELECT pg_advisory_xact_lock(${POSTGRES_LOCK})`)
    const applied = await applyPending(runner, 'all')
    await runner.commitTransaction()
    return applied
  } catch (error) {
    // The first error is more useful; without the connection the transaction is gone anyway.
    await runner.rollbackTransaction().catch(() => {})
    throw error
  }
}

async function migrateMysql(runner: QueryRunner): Promise<readonly string[]> {
  const connection = await runner.connect()
  try {
    waitForever(connection)
    await runner.query(
      'SET SESSION innodb_lock_wait_timeout = DEFAULT /*M! , max_statement_time = 0 */',
    )
    // The lock's name is global for the server, so it includes the database.
    const sql = "SELECT GET_LOCK(SHA1(CONCAT('keyturn/', DATABASE())), 1) AS locked"
    while (Number((await runner.query(sql))[0].locked) !== 1);
    await noteMigrationsOnce(runner)
    return await applyPending(runner, 'none')
  } finally {
    // Releases the lock, and ends the session because its limits were removed.
    connection.destroy()
  }
}

/** Makes the table in which TypeORM notes migrations, with a unique name. */
async function noteMigrationsOnce(runner: QueryRunner): Promise<void> {
  await runner.query(
    `CREATE TABLE IF NOT EXISTS ${MIGRATIONS_TABLE} (id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
       timestamp bigint NOT NULL, name varchar(255) NOT NULL, UNIQUE KEY ${UNIQUE_NAME} (name))`,
  )
  const found: unknown[] = await runner.query(
    `SELECT 1 FROM information_schema.statistics WHERE table_schema = DATABASE()
       AND table_name = '${MIGRATIONS_TABLE}' AND index_name = '${UNIQUE_NAME}'`,
  )
  if (found.length > 0) return
  // TypeORM's own table may have been made on several nodes at once.
  await runner.query(
    `DELETE again FROM ${MIGRATIONS_TABLE} again JOIN ${MIGRATIONS_TABLE} first
       ON first.name = again.name AND first.id < again.id`,
  )
  await runner.query(`ALTER TABLE ${MIGRATIONS_TABLE} ADD UNIQUE KEY ${UNIQUE_NAME} (name)`)
}

async function applyPending(
  runner: QueryRunner,
  transaction: MigrationExecutor['transaction'],
): Promise<readonly string[]> {
  const executor = new MigrationExecutor(runner.dataSource, runner)
  executor.transaction = transaction
  const applied = await executor.executePendingMigrations()
  return applied.map((migration) => migration.name)
}

/** True if the database has Keyturn's tables, false if it is empty or of another program. */
export async function hasTables(dataSource: DataSource): Promise<boolean> {
  return attemptRead('look for the tables of Keyturn', async () => {
    const runner = dataSource.createQueryRunner()
    try {
      return await runner.hasTable(MIGRATIONS_TABLE)
    } finally {
      await runner.release()
    }
  })
}

export interface MigrationStatus {
  readonly name: string
  readonly applied: boolean
}

/**
 * Every migration of this version, and whether it was applied. Migrations of newer versions are
 * ignored, because migrations only add what older versions can do without.
 */
export async function migrationStatus(dataSource: DataSource): Promise<readonly MigrationStatus[]> {
  const isKnown = await hasTables(dataSource)
  return attemptRead('read the migrations of the database', async () => {
    const rows: { name: string }[] = isKnown
      ? await dataSource.query(`SELECT name FROM ${MIGRATIONS_TABLE}`)
      : []
    const done = new Set(rows.map((row) => row.name))
    return dataSource.migrations.map(({ name = '' }) => ({ name, applied: done.has(name) }))
  })
}
