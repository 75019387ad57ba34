import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import type { OnForgery } from '../artifacts/forgeries.ts'
import { rotationPolicies } from '../config/policies.ts'
import type { Config } from '../config/schema.ts'
import { isEmbedded, shownUrl } from '../connection/database-url.ts'
import { NotFound } from '../errors.ts'
import { createDatabaseClock } from '../nodes/database-clock.ts'
import type { RotationPolicies } from '../ring/policy.ts'
import type { IssuerStores } from '../server/stores.ts'
import { shellWord } from '../values/shell-word.ts'
import type { WitnessWatch } from '../witness/witness-watch.ts'
import { type Context, loadCommandConfig } from './context.ts'
import { commandWitness } from './witness.ts'

/** What a command works with while its stores are open. */
export interface Session extends Context {
  readonly config: Config
  readonly policies: RotationPolicies
  readonly stores: IssuerStores
  /** One instant for all that the command does, by the clock of the database. */
  readonly now: number
  /** Holds what is loaded against the witness; undefined where the configuration names none. */
  readonly witness: WitnessWatch | undefined
}

/**
 * Opens what the configuration names, as a running server may have it open too, and closes it at
 * the end.
 * @throws ConfigInvalid, StoreUnavailable, NotFound where there is no database, and what `work` throws
 */
export async function withSession<T>(
  program: Command,
  context: Context,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const config = loadCommandConfig(program, context)
  // The database is slow to import and half of all commands do without.
  const { openStores } = await import('../server/stores.ts')
  await assertDatabase(config)
  const opened = await openStores(config, context.clock, tellForgeries(context))
  const stores = opened.of(config.issuer)
  try {
    // A machine whose clock is wrong must not date what it records.
    const { clockSkew } = config.rotation
    const databaseClock = createDatabaseClock({ ...context, store: stores.nodes, clockSkew })
    await databaseClock.compare()
    const now = databaseClock.now()
    const session = { ...context, config, policies: rotationPolicies(config), stores, now }
    return await work({ ...session, witness: commandWitness(session) })
  } finally {
    await opened.close()
  }
}

/** Tells of each record once, and how to be rid of it. */
function tellForgeries({ warn }: Pick<Context, 'warn'>): OnForgery {
  const told = new Set<string>()
  return (kind, name = '') => {
    const record = `${kind} ${name}`
    if (told.has(record)) return
    told.add(record)
    warn(
      `The ${record} in the database fails its check and counts as absent: somebody else wrote or ` +
        'changed it, or it was written under another secret of the deployment.' +
        (kind === 'client' || kind === 'account'
          ? ` Restore its row from a backup, or be rid of it: keyturn ${kind}s remove ${shellWord(name)}`
          : ''),
    )
  }
}

/**
 * A command looks at a deployment and never makes one: in the wrong directory, an empty database
 * would look like lost keys.
 * @throws NotFound
 */
export async function assertDatabase({ database }: Config): Promise<void> {
  const place = await placeWithoutDatabase(database)
  if (place === undefined) return
  if (!isEmbedded(database.url)) {
    throw new NotFound(
      'database_not_found',
      { place, isEmbedded: false },
      `The database ${place} (database.url) has no tables of Keyturn. The first start of the server ` +
        'makes them. If it should have them: is database.url the right one?',
    )
  }
  throw new NotFound(
    'database_not_found',
    { place, isEmbedded: true },
    `There is no database at ${place} (database.url). The first start of the server makes it. ` +
      'If there should be one: is this its directory, and its configuration?',
  )
}

/** Where there should be a database and is none: no file, or a server without Keyturn's tables. */
async function placeWithoutDatabase(settings: Config['database']): Promise<string | undefined> {
  const { openDatabase, sqlitePath } = await import('../database/database.ts')
  if (isEmbedded(settings.url)) {
    const path = sqlitePath(settings.url)
    return existsSync(path) ? undefined : path
  }
  const { hasTables } = await import('../database/migrate.ts')
  const dataSource = await openDatabase(settings)
  try {
    return (await hasTables(dataSource)) ? undefined : shownUrl(settings.url)
  } finally {
    await dataSource.destroy()
  }
}
