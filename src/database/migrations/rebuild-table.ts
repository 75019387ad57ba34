import type { QueryRunner, TableColumnOptions, TableIndexOptions } from 'typeorm'
import {
  addIndex,
  createTables,
  hasColumn,
  mysqlCollation,
  type PortableTable,
  textCollation,
} from './portable.ts'

/**
 * Adds a column of text to a table, '' in existing rows, and changes the primary key, unique
 * columns and indices accordingly.
 * @param table in its final form
 * @param added name of the column
 */
export async function rebuildTable(
  runner: QueryRunner,
  table: PortableTable,
  added: string,
): Promise<void> {
  switch (runner.dataSource.options.type) {
    case 'better-sqlite3':
      return copyTable(runner, table, added)
    case 'mysql':
      return alterMysql(runner, table, added)
    default:
      return alterPostgres(runner, table, added)
  }
}

/**
 * Copies the rows, because SQLite cannot change a primary key.
 * @see https://sqlite.org/lang_altertable.html
 */
async function copyTable(runner: QueryRunner, table: PortableTable, added: string): Promise<void> {
  const { name, columns, indices = [] } = table
  const draft = `${name}_with_${added}`
  await createTables(runner, [{ ...table, name: draft, indices: [] }])
  const kept = columns.flatMap((column) => (column.name === added ? [] : column.name)).join(', ')
  await runner.query(`INSERT INTO ${draft} (${added}, ${kept}) SELECT '', ${kept} FROM ${name}`)
  await runner.query(`DROP TABLE ${name}`)
  await runner.query(`ALTER TABLE ${draft} RENAME TO ${name}`)
  for (const index of indices) await addIndex(runner, name, indexOf(index))
}

/** Uses a single statement, because each statement commits by itself. */
async function alterMysql(
  runner: QueryRunner,
  { name, columns, uniques = [], indices = [] }: PortableTable,
  added: string,
): Promise<void> {
  if (await hasColumn(runner, name, added)) return
  const anew = [
    ...uniques.map((unique) => ({ ...unique, isUnique: true })),
    ...indices.map((index) => indexOf(index)),
  ].flatMap(({ name: index, columnNames, isUnique }) => [
    `DROP INDEX ${index}`,
    `ADD ${isUnique ? 'UNIQUE INDEX' : 'INDEX'} ${index} (${columnNames.join(', ')})`,
  ])
  const type = `${typeOf(columns, added)} COLLATE ${await mysqlCollation(runner)}`
  const changes = [
    `ADD ${added} ${type} NOT NULL FIRST`,
    `DROP PRIMARY KEY, ADD PRIMARY KEY (${primaryOf(columns)})`,
    ...anew,
  ]
  await runner.query(`ALTER TABLE ${name} ${changes.join(', ')}`)
}

async function alterPostgres(
  runner: QueryRunner,
  { name, columns, uniques = [], indices = [] }: PortableTable,
  added: string,
): Promise<void> {
  const collation = textCollation(runner.dataSource.options.type)
  const type = typeOf(columns, added) + (collation ? ` COLLATE "${collation}"` : '')
  await runner.query(`ALTER TABLE ${name} ADD ${added} ${type} NOT NULL DEFAULT ''`)
  await runner.query(`ALTER TABLE ${name} ALTER ${added} DROP DEFAULT`)
  const [key]: { readonly conname: string }[] = await runner.query(
    `SELECT conname FROM pg_constraint WHERE conrelid = '${name}'::regclass AND contype = 'p'`,
  )
  await runner.query(
    `ALTER TABLE ${name} DROP CONSTRAINT "${key?.conname}", ADD PRIMARY KEY (${primaryOf(columns)})`,
  )
  for (const { name: unique, columnNames } of uniques) {
    await runner.query(
      `ALTER TABLE ${name} DROP CONSTRAINT ${unique},
         ADD CONSTRAINT ${unique} UNIQUE (${columnNames.join(', ')})`,
    )
  }
  for (const index of indices) {
    await runner.query(`DROP INDEX ${index.name}`)
    await addIndex(runner, name, indexOf(index))
  }
}

function typeOf(columns: readonly TableColumnOptions[], name: string): string {
  const found = columns.find((column) => column.name === name)
  return `${found?.type}(${found?.length})`
}

function primaryOf(columns: readonly TableColumnOptions[]): string {
  return columns.flatMap(({ isPrimary, name }) => (isPrimary ? name : [])).join(', ')
}

/** Name and columns of an index, which TypeORM's type makes optional. */
function indexOf({ name = '', columnNames = [], isUnique = false }: TableIndexOptions) {
  return { name, columnNames, isUnique }
}
