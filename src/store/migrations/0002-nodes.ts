import { type MigrationInterface, type QueryRunner, Table } from 'typeorm'

/** Nodes tell of themselves. */
export class Nodes0002 implements MigrationInterface {
  readonly name = 'Nodes1700000000002'

  async up(runner: QueryRunner): Promise<void> {
    await runner.createTable(
      new Table({
        name: 'node',
        columns: [
          { name: 'id', type: 'varchar', length: '160', isPrimary: true },
          { name: 'seen_at', type: 'bigint' },
          { name: 'body', type: 'text' },
        ],
      }),
    )
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only; restore a backup instead')
  }
}
