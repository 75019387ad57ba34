import type { MigrationInterface, QueryRunner } from 'typeorm'
import { addColumns, column } from './portable.ts'

/** Accounts have all claims. */
export class Claims0003 implements MigrationInterface {
  readonly name = 'Claims1700000000003'

  async up(runner: QueryRunner): Promise<void> {
    await addColumns(runner, 'account', [column('claims', 'text')])
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only; restore a backup instead')
  }
}
