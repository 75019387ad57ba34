import type { Command } from 'commander'
import type { OnForgery } from '../artifacts/forgeries.ts'
import { chooseIssuer, siblingsOf } from '../config/choose-issuer.ts'
import { rotationPolicies } from '../config/policies.ts'
import type { IssuerConfig } from '../config/schema.ts'
import { createDatabaseClock } from '../nodes/database-clock.ts'
import type { RotationPolicies } from '../ring/policy.ts'
import type { IssuerStores } from '../server/stores.ts'
import { shellWord } from '../values/shell-word.ts'
import type { WitnessWatch } from '../witness/witness-watch.ts'
import { type Context, loadCommandConfig } from './context.ts'
import { commandWitness } from './witness.ts'

/** What a command works with while its stores are open. */
export interface Session extends Context {
  /** Of the issuer that the command is about. */
  readonly config: IssuerConfig
  /** The other issuers of the configuration. */
  readonly siblings: readonly string[]
  readonly policies: RotationPolicies
  readonly stores: IssuerStores
  /** One instant for all that the command does, by the clock of the database. */
  readonly now: number
  /** Holds what is loaded against the witness; undefined where the configuration names none. */
  readonly witness: WitnessWatch | undefined
}

export interface SessionOptions {
  /** The command is about no single issuer, so that none has to be named. */
  readonly isOfAll?: boolean
  /** Makes the database where there is none, as a first start would. */
  readonly mayCreate?: boolean
}

/**
 * Opens what the configuration names, as a running server may have it open too, and closes it at
 * the end.
 * @throws ConfigInvalid, StoreUnavailable, NotFound where there is no database, Refused where an issuer has to
 *   be named, and what `work` throws
 */
export async function withSession<T>(
  program: Command,
  context: Context,
  work: (session: Session) => Promise<T>,
  { isOfAll = false, mayCreate = false }: SessionOptions = {},
): Promise<T> {
  const whole = await loadCommandConfig(program, context)
  const { issuer = isOfAll ? whole.issuers[0]?.issuer : undefined } = program.opts<{
    issuer?: string
  }>()
  const config = chooseIssuer(whole, issuer)
  // The database is slow to import and half of all commands do without.
  const [{ openStores }, { assertDatabase }] = await Promise.all([
    import('../server/stores.ts'),
    import('../server/assert-database.ts'),
  ])
  if (!mayCreate) await assertDatabase(config)
  const opened = await openStores(whole, context.clock, tellForgeries(context))
  const stores = opened.of(config.issuer)
  try {
    // A machine whose clock is wrong must not date what it records.
    const { clockSkew } = config.rotation
    const databaseClock = createDatabaseClock({ ...context, store: stores.nodes, clockSkew })
    await databaseClock.compare()
    const now = databaseClock.now()
    const siblings = siblingsOf(config.issuer, whole)
    const session = {
      ...context,
      config,
      siblings,
      policies: rotationPolicies(config),
      stores,
      now,
    }
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
