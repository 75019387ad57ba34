import type { DataSource, QueryRunner } from 'typeorm'
import { waitForever } from './impatience.ts'

/** Does all of `work` or nothing, in a transaction that may take longer than requests wait. */
export async function withoutHurry<T>(
  dataSource: DataSource,
  work: (runner: QueryRunner) => Promise<T>,
): Promise<T> {
  const { type } = dataSource.options
  const runner = dataSource.createQueryRunner()
  const connection = type === 'better-sqlite3' ? undefined : await runner.connect()
  try {
    if (connection) waitForever(connection)
    if (type === 'mysql') {
      await runner.query(
        'SET SESSION innodb_lock_wait_timeout = DEFAULT /*M! , max_statement_time = 0 */',
      )
    }
    await runner.startTransaction()
    if (type === 'postgres') await runner.query('SET LOCAL statement_timeout = 0')
    const result = await work(runner)
    await runner.commitTransaction()
    return result
  } catch (error) {
    // What went wrong first says more; without its connection, the transaction is gone anyway.
    if (runner.isTransactionActive) await runner.rollbackTransaction().catch(() => {})
    throw error
  } finally {
    // The session of MySQL has no limits any more.
    if (type === 'mysql') connection.destroy()
    await runner.release()
  }
}
