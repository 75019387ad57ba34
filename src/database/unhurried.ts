import type { DataSource, QueryRunner } from 'typeorm'
import { waitForever } from './impatience.ts'

/** Does `work` in a transaction that may take longer than the time limit of requests. */
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
    // The first error is more useful; without the connection the transaction is gone anyway.
    if (runner.isTransactionActive) await runner.rollbackTransaction().catch(() => {})
    throw error
  } finally {
    // The limits of MySQL's session were removed, so it is not used again.
    if (type === 'mysql') connection.destroy()
    await runner.release()
  }
}
