import type { Command } from 'commander'
import { databaseUrlProblem } from '../connection/database-url.ts'
import { Refused, StoreUnavailable } from '../errors.ts'
import { assertStopped } from '../nodes/node.ts'
import {
  type Context,
  JSON_OPTION,
  type JsonOption,
  loadCommandConfig,
  printJson,
  readArgumentFile,
} from './context.ts'
import { withSession } from './session.ts'
import { table } from './table.ts'
import { counted } from './words.ts'

export function addDb(db: Command, program: Command, context: Context): void {
  db.command('migrate')
    .description('apply missing migrations, or create the database; other commands apply them too')
    .option(...JSON_OPTION)
    .action((options: JsonOption) =>
      withDatabase(
        program,
        context,
        async (database, { migrate }) => {
          const applied = await migrate(database)
          if (options.json) return printJson(context, { applied })
          if (applied.length === 0) return context.print('The database is up to date.')
          for (const name of applied) context.print(`Applied  ${name}`)
        },
        { mayCreate: true },
      ),
    )
  db.command('status')
    .description('list migrations; exit status 1 if some are missing')
    .option(...JSON_OPTION)
    .action((options: JsonOption) =>
      withDatabase(program, context, async (database, { migrationStatus }) => {
        const migrations = await migrationStatus(database)
        const rows = migrations.map(({ name, applied }) => [name, applied ? 'applied' : 'pending'])
        if (options.json) printJson(context, migrations)
        else context.print(table(['MIGRATION', 'STATUS'], rows, context))
        const pending = migrations.filter((migration) => !migration.applied).length
        if (pending > 0) {
          throw new Refused(
            'migrations_pending',
            { pending, all: migrations.length },
            `${pending} of ${counted(migrations.length, 'migration')} pending.`,
          )
        }
      }),
    )
  db.command('copy')
    .description('copy the database into another, empty one, with every node stopped')
    .requiredOption('--to <url>', 'URL of the other database, or @FILE with the URL')
    .option(...JSON_OPTION)
    .action((options: JsonOption & { to: string }) => copy(program, context, options))
}

const RUNNING = { what: 'copied', why: 'Rows that they write meanwhile would be lost.' }

/**
 * Copies the database.
 * @param to URL, or @FILE with the URL, which keeps its password off the command line
 */
async function copy(
  program: Command,
  context: Context,
  { to, json }: JsonOption & { readonly to: string },
): Promise<void> {
  const config = await loadCommandConfig(program, context)
  const url = to.startsWith('@') ? (await readArgumentFile(to.slice(1))).trim() : to
  const problem = databaseUrlProblem(url)
  if (problem !== undefined) {
    const message = `--to is not the URL of a database for Keyturn. It must be ${problem}.`
    throw new Refused('database_url_invalid', { expected: problem }, message)
  }
  await withSession(
    program,
    context,
    async ({ stores, now }) => {
      const { refreshInterval } = config.rotation
      assertStopped(await stores.nodes.list(), { refreshInterval, now }, RUNNING)
    },
    { isOfAll: true },
  )
  await withDatabase(program, context, async (source, { migrate }) => {
    await migrate(source)
    const { openDatabase } = await import('../database/database.ts')
    const { copyDatabase } = await import('../database/copy.ts')
    const target = await ofOption(() => openDatabase({ ...config.database, url }))
    try {
      await ofOption(() => migrate(target))
      const copied = await copyDatabase(source, target)
      if (json) return printJson(context, { copied })
      for (const { table, rows } of copied) context.print(`Copied   ${table}: ${rows}`)
      context.print('Set database.url to the new database, and start the nodes.')
      if (config.keyStore.type !== 'database') {
        context.print(
          `Keys were not copied, because they are not in the database (keyStore.type ${config.keyStore.type}).`,
        )
      }
    } finally {
      await target.destroy()
    }
  })
}

/** Does work on the other database, whose failures name `--to` and not the setting of the first. */
async function ofOption<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof StoreUnavailable)) throw error
    const { message, cause, mayBeDone } = error
    throw new StoreUnavailable(message.replaceAll('database.url', '--to'), cause, { mayBeDone })
  }
}

type MigrateModule = typeof import('../database/migrate.ts')
type Database = Parameters<MigrateModule['migrate']>[0]

/** Opens the database without migrating it, as a session (`session.ts`) would. */
async function withDatabase(
  program: Command,
  context: Context,
  work: (database: Database, module: MigrateModule) => Promise<void>,
  { mayCreate = false } = {},
): Promise<void> {
  const config = await loadCommandConfig(program, context)
  if (!mayCreate) {
    const { assertDatabase } = await import('../server/assert-database.ts')
    await assertDatabase(config)
  }
  const { openDatabase } = await import('../database/database.ts')
  const database = await openDatabase(config.database)
  try {
    await work(database, await import('../database/migrate.ts'))
  } finally {
    await database.destroy()
  }
}
