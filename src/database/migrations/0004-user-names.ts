import type { MigrationInterface, QueryRunner } from 'typeorm'
import { addColumns, nullable, varchar } from './portable.ts'

/** Accounts have keys of their names. */
export class UserNames0004 implements MigrationInterface {
  readonly name = 'UserNames1700000000004'

  async up(runner: QueryRunner): Promise<void> {
    const columns = [varchar('name_key', 43, nullable), varchar('skeleton_key', 43, nullable)]
    await addColumns(runner, 'account', columns)
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only; restore a backup instead')
  }
}
