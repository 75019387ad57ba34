import type { MigrationInterface, QueryRunner } from 'typeorm'
import { fillNameKeys } from '../account-names.ts'
import { addColumns, addIndex, nullable, varchar } from './portable.ts'

/** Accounts are found by their name as it is compared, and no two new names look alike. */
export class UserNames0004 implements MigrationInterface {
  readonly name = 'UserNames1700000000004'

  async up(runner: QueryRunner): Promise<void> {
    const columns = [varchar('name_key', 43, nullable), varchar('skeleton_key', 43, nullable)]
    await addColumns(runner, 'account', columns)
    await addIndex(runner, 'account', { name: 'account_name_key', columnNames: ['name_key'] })
    await addIndex(runner, 'account', {
      name: 'account_skeleton_key',
      columnNames: ['skeleton_key'],
      isUnique: true,
    })
    await fillNameKeys(runner)
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only; restore a backup instead')
  }
}
