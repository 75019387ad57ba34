import type { MigrationInterface, QueryRunner } from 'typeorm'
import { column, createTables, nullable, type PortableTable, primary, varchar } from './portable.ts'

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

const TABLE = {
  name: 'artifact',
  columns: [
    varchar('model', 40, primary),
    varchar('id', 64, primary),
    column('payload', 'text'),
    varchar('grant_id', 64, nullable),
    varchar('uid', 64, nullable),
    varchar('user_code', 64, nullable),
    varchar('account_id', 64, nullable),
    varchar('client_id', 255, nullable),
    column('consumed_at', 'bigint', nullable),
    column('expires_at', 'bigint', nullable),
  ],
  indices: [
    { name: 'artifact_grant', columnNames: ['grant_id'], where: 'grant_id IS NOT NULL' },
    { name: 'artifact_uid', columnNames: ['uid'], where: 'uid IS NOT NULL' },
    { name: 'artifact_user_code', columnNames: ['user_code'], where: 'user_code IS NOT NULL' },
    { name: 'artifact_expiry', columnNames: ['expires_at'] },
  ],
} as const satisfies PortableTable
