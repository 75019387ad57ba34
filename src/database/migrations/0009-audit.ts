import type { MigrationInterface, QueryRunner } from 'typeorm'
import { column, createTables, nullable, primary, varchar } from './portable.ts'

/** Adds the table of orders about people and clients. */
export class Audit0009 implements MigrationInterface {
  readonly name = 'Audit1700000000009'

  async up(runner: QueryRunner): Promise<void> {
    const columns = [
      varchar('issuer', 255, primary),
      column('number', 'integer', primary),
      column('recorded_at', 'bigint'),
      column('actor', 'text'),
      column('reason', 'text'),
      varchar('action', 40),
      varchar('subject_id', 255),
      varchar('subject_name', 255, nullable),
      column('changed', 'text'),
      varchar('mac', 43),
    ]
    await createTables(runner, [{ name: 'audit_record', columns }])
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only; restore a backup instead')
  }
}
