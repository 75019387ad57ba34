import type { MigrationInterface, QueryRunner } from 'typeorm'
import { widenText } from './portable.ts'

/**
 * Keys that move in keep the kid that the old system gave them, of any length that one can have.
 */
export class Kids0007 implements MigrationInterface {
  readonly name = 'Kids1700000000007'

  async up(runner: QueryRunner): Promise<void> {
    await widenText(runner, 'ring_key', { column: 'id', length: 255 })
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only; restore a backup instead')
  }
}
