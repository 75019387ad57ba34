import { type QueryRunner, Table, type TableColumnOptions, type TableIndexOptions } from 'typeorm'

/**
 * Tables that are the same in every engine, for migrations. Text compares byte for byte: 'a', 'A'
 * and 'a ' are three ids. SQLite does so by itself.
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
 * Makes tables. In MySQL and MariaDB, where schema changes are in no transaction, an existing table
 * was made by an interrupted attempt; it is complete, because each table is made by one statement.
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
        // MySQL has no constraints without index, and no partial indices.
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
 * Adds nullable columns to a table that other versions use meanwhile. Does not use TypeORM, which
 * copies the whole table in SQLite.
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

/** Lets a non-null column have longer text. SQLite ignores lengths. */
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

/** Adds an index of newer columns, which older versions leave empty. */
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

/** True if the column exists. Called only if an interrupted attempt may have made it. */
export function hasColumn(runner: QueryRunner, table: string, name: string): Promise<boolean> {
  return isMade(runner, 'columns', table, { column_name: name })
}

/**
 * True if an interrupted attempt made it, which is possible only if schema changes are in no
 * transaction.
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

/** The engine's type for long text; MySQL's `text` ends at 64 KiB, `mediumtext` at 16 MiB. */
export function textType(engine: string, type: string): string {
  return engine === 'mysql' && type === 'text' ? 'mediumtext' : type
}

/** The collation of text columns that must be named, apart from MySQL's (`mysqlCollation`). */
export function textCollation(engine: string): string | undefined {
  // The database's own collation sorts by some language, differently on each machine.
  return engine === 'postgres' ? 'C' : undefined
}

export function isText(type: unknown): boolean {
  return type === 'varchar' || type === 'text'
}

/**
 * The collation that compares bytes, because defaults ignore case and final spaces; its name
 * differs between MariaDB and MySQL.
 */
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
