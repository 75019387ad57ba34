import type { MigrationInterface, QueryRunner } from 'typeorm'
import { fillNameKeys } from '../account-names.ts'
import { addIndex } from './portable.ts'

/**
 * Accounts are found by their name as it is compared, and no two new names look alike. The columns
 * come from the migration before, because some engines let nobody use a column in the transaction
 * that made it.
 */
export class UserNameKeys0005 implements MigrationInterface {
  readonly name = 'UserNameKeys1700000000005'

  async up(runner: QueryRunner): Promise<void> {
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
