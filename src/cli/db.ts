import type { Command } from 'commander'
import { Refused } from '../errors.ts'
import {
  type Context,
  JSON_OPTION,
  type JsonOption,
  loadCommandConfig,
  printJson,
} from './context.ts'
import { assertDatabase } from './session.ts'
import { table } from './table.ts'

export function addDb(program: Command, context: Context): void {
  const db = program.command('db').description('bring the database up to date')
  db.command('migrate')
    .description('apply what is missing, or make the database; other commands apply it too')
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
    .description('which migrations the database has; exit status 1 if some are missing')
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
            `${pending} of ${migrations.length} migration(s) pending. Apply with: keyturn db migrate`,
          )
        }
      }),
    )
}

type MigrateModule = typeof import('../store/migrate.ts')
type Database = Parameters<MigrateModule['migrate']>[0]

/** The database as it is; a session (`session.ts`) would migrate it first. */
async function withDatabase(
  program: Command,
  context: Context,
  work: (database: Database, module: MigrateModule) => Promise<void>,
  { mayCreate = false } = {},
): Promise<void> {
  const config = loadCommandConfig(program, context)
  if (!mayCreate) await assertDatabase(config)
  const { openDatabase } = await import('../store/database.ts')
  const database = await openDatabase(config.database)
  try {
    await work(database, await import('../store/migrate.ts'))
  } finally {
    await database.destroy()
  }
}
