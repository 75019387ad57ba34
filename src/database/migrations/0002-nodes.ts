import type { MigrationInterface, QueryRunner } from 'typeorm'
import { column, createTables, primary, varchar } from './portable.ts'

/** Adds the table of nodes' reports. */
export class Nodes0002 implements MigrationInterface {
  readonly name = 'Nodes1700000000002'

  async up(runner: QueryRunner): Promise<void> {
    const columns = [
      varchar('id', 160, primary),
      column('seen_at', 'bigint'),
      column('body', 'text'),
    ]
    await createTables(runner, [{ name: 'node', columns }])
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only; restore a backup instead')
  }
}
