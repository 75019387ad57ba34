import { type QueryRunner, Table, type TableColumnOptions, type TableIndexOptions } from 'typeorm'

/**
 * Tables that are the same in every engine, for migrations. Text compares byte for byte: 'a', 'A'
 * and 'a ' are three ids. SQLite and CockroachDB do so by themselves.
 */

export interface PortableTable {
  readonly name: string
  readonly columns: readonly TableColumnOptions[]
  readonly uniques?: readonly { readonly name: string; readonly columnNames: string[] }[]
  readonly indices?: readonly TableIndexOptions[]
  readonly withoutRowid?: boolean
}

export function varchar(
  name: string,
  length: number,
  more: Partial<TableColumnOptions> = {},
): TableColumnOptions {
  return { name, type: 'varchar', length: String(length), ...more }
}

export function column(
  name: string,
  type: 'integer' | 'bigint' | 'boolean' | 'text',
  more: Partial<TableColumnOptions> = {},
): TableColumnOptions {
  return { name, type, ...more }
}

export const primary = { isPrimary: true }
export const nullable = { isNullable: true }

/**
 * Makes tables. Where statements that change the schema take part in no transaction (MySQL,
 * MariaDB) a table that is there already was made by an attempt that was cut off: each is made by
 * one statement, whole or not at all.
 */
export async function createTables(
  runner: QueryRunner,
  tables: readonly PortableTable[],
): Promise<void> {
  const { type } = runner.dataSource.options
  const isMysql = type === 'mysql'
  const collation = isMysql ? await mysqlCollation(runner) : textCollation(type)
  for (const { columns, uniques = [], indices = [], ...table } of tables) {
    await runner.createTable(
      new Table({
        ...table,
        columns: columns.map((options) => ({
          ...options,
          type: textType(type, options.type),
          ...(isText(options.type) && collation && { collation }),
        })),
        // MySQL has no constraints that are not indices, and no indices of some rows only.
        uniques: isMysql ? [] : [...uniques],
        indices: isMysql
          ? [
              ...uniques.map((unique) => ({ ...unique, isUnique: true })),
              ...indices.map(({ where: _, ...index }) => index),
            ]
          : [...indices],
      }),
      isMysql,
    )
  }
}

/**
 * Adds columns that may be empty, to a table that is used by other versions meanwhile. Not by TypeORM,
 * which copies a table of SQLite for it.
 */
export async function addColumns(
  runner: QueryRunner,
  table: string,
  columns: readonly TableColumnOptions[],
): Promise<void> {
  const { type } = runner.dataSource.options
  const collation = type === 'mysql' ? await mysqlCollation(runner) : textCollation(type)
  const quote = type === 'mysql' ? '`' : '"'
  for (const { name, type: of, length } of columns) {
    if (await isMade(runner, 'columns', table, { column_name: name })) continue
    const sqlType = length ? `${textType(type, of)}(${length})` : textType(type, of)
    const collate = isText(of) && collation ? ` COLLATE ${quote}${collation}${quote}` : ''
    await runner.query(`ALTER TABLE ${table} ADD ${name} ${sqlType}${collate} NULL`)
  }
}

/** Lets a column that may not be empty hold longer text. SQLite heeds no lengths. */
export async function widenText(
  runner: QueryRunner,
  table: string,
  { column: name, length }: { readonly column: string; readonly length: number },
): Promise<void> {
  const { type } = runner.dataSource.options
  if (type === 'better-sqlite3') return
  if (type === 'mysql') {
    const collation = await mysqlCollation(runner)
    const sqlType = `varchar(${length}) COLLATE ${collation}`
    await runner.query(`ALTER TABLE ${table} MODIFY ${name} ${sqlType} NOT NULL`)
    return
  }
  const collation = textCollation(type)
  const collate = collation ? ` COLLATE "${collation}"` : ''
  await runner.query(`ALTER TABLE ${table} ALTER COLUMN ${name} TYPE varchar(${length})${collate}`)
}

/** Adds an index of columns that came later, whose values older versions leave out. */
export async function addIndex(
  runner: QueryRunner,
  table: string,
  {
    name,
    columnNames,
    isUnique = false,
  }: { name: string; columnNames: string[]; isUnique?: boolean },
): Promise<void> {
  if (await isMade(runner, 'statistics', table, { index_name: name })) return
  const kind = isUnique ? 'UNIQUE INDEX' : 'INDEX'
  await runner.query(`CREATE ${kind} ${name} ON ${table} (${columnNames.join(', ')})`)
}

/** Is the column there? Only asked where an attempt that was cut off may have made it. */
export function hasColumn(runner: QueryRunner, table: string, name: string): Promise<boolean> {
  return isMade(runner, 'columns', table, { column_name: name })
}

/**
 * Was it made by an attempt that was cut off? Only where statements that change the schema take part in no
 * transaction can that be.
 */
async function isMade(
  runner: QueryRunner,
  view: 'columns' | 'statistics',
  table: string,
  named: Readonly<Record<string, string>>,
): Promise<boolean> {
  if (runner.dataSource.options.type !== 'mysql') return false
  const [[column, name] = []] = Object.entries(named)
  const found: unknown[] = await runner.query(
    `SELECT 1 FROM information_schema.${view}
     WHERE table_schema = DATABASE() AND table_name = ? AND ${column} = ?`,
    [table, name],
  )
  return found.length > 0
}

/** How the engine calls text of any length; MySQL's `text` ends at 64 KiB, `mediumtext` at 16 MiB. */
export function textType(engine: string, type: string): string {
  return engine === 'mysql' && type === 'text' ? 'mediumtext' : type
}

/** The collation of text columns that must be named, apart from MySQL's (`mysqlCollation`). */
export function textCollation(engine: string): string | undefined {
  // That of the database sorts by the words of some language, differently on each machine.
  return engine === 'postgres' ? 'C' : undefined
}

export function isText(type: unknown): boolean {
  return type === 'varchar' || type === 'text'
}

/** Default collations ignore case and spaces at the end; MariaDB and MySQL call theirs differently. */
export async function mysqlCollation(runner: QueryRunner): Promise<string> {
  const rows: { name: string }[] = await runner.query(
    `SELECT collation_name AS name FROM information_schema.collations
     WHERE collation_name IN ('utf8mb4_nopad_bin', 'utf8mb4_0900_bin')
     ORDER BY collation_name DESC`,
  )
  const [found] = rows
  if (!found) throw new Error('MariaDB 10.6 or MySQL 8.0.17, or later, is needed')
  return found.name
}
