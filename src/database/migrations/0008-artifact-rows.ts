import type { MigrationInterface, QueryRunner } from 'typeorm'
import { ARTIFACTS } from './0001-initial.ts'
import { createTables } from './portable.ts'

/**
 * Artifacts of SQLite have rowids. Without them a row lies in the index of ids, where whatever is
 * longer than a quarter of a page overflows into pages that are read from the file each time, and
 * ids are hashes, so each new row changes another page. With them rows are written one behind
 * another.
 *
 * Earlier versions work with the table. The other engines have never been different.
 */
export class ArtifactRows0008 implements MigrationInterface {
  readonly name = 'ArtifactRows1700000000008'

  async up(runner: QueryRunner): Promise<void> {
    if (runner.dataSource.options.type !== 'better-sqlite3') return
    await runner.query('ALTER TABLE artifact RENAME TO artifact_before')
    for (const { name } of TABLE.indices) await runner.query(`DROP INDEX ${name}`)
    await createTables(runner, [TABLE])
    const columns = TABLE.columns.map(({ name }) => name).join(', ')
    await runner.query(`INSERT INTO artifact (${columns}) SELECT ${columns} FROM artifact_before`)
    await runner.query('DROP TABLE artifact_before')
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only; restore a backup instead')
  }
}

const { withoutRowid: _, ...TABLE } = ARTIFACTS
