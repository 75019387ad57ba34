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

/** Environment of a command while its stores are open. */
export interface Session extends Context {
  /** Settings of the issuer that the command is about. */
  readonly config: IssuerConfig
  /** The other issuers of the configuration. */
  readonly siblings: readonly string[]
  readonly policies: RotationPolicies
  readonly stores: IssuerStores
  /** Present instant by the clock of the database, the same for all steps of the command. */
  readonly now: number
  /** Compares loaded rings with the witness; undefined if the configuration names none. */
  readonly witness: WitnessWatch | undefined
}

export interface SessionOptions {
  /** True if the command is about all issuers, so that none has to be named. */
  readonly isOfAll?: boolean
  /** True to create a missing database, as a first start would. */
  readonly mayCreate?: boolean
}

/**
 * Opens the configured stores for a command and closes them at the end. A running server may have
 * them open too.
 * @throws ConfigInvalid; StoreUnavailable; NotFound if there is no database; Refused if an issuer
 * has to be named; errors of `work`
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
  // The database is imported only here, because it is slow and half of all commands do not use it.
  const [{ openStores }, { assertDatabase }] = await Promise.all([
    import('../server/stores.ts'),
    import('../server/assert-database.ts'),
  ])
  if (!mayCreate) await assertDatabase(config)
  const opened = await openStores(whole, context.clock, tellForgeries(context))
  const stores = opened.of(config.issuer)
  try {
    // A wrong clock of this machine must not date records.
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

/** Warns once about each forged record, with the command that removes it. */
function tellForgeries({ warn }: Pick<Context, 'warn'>): OnForgery {
  const told = new Set<string>()
  return (kind, name = '') => {
    const record = `${kind} ${name}`
    if (told.has(record)) return
    told.add(record)
    warn(
      `The ${record} in the database fails its check and counts as absent, because somebody else wrote or ` +
        'changed it, or it was written under another secret of the deployment.' +
        (kind === 'client' || kind === 'account'
          ? ` Restore its row from a backup, or remove it: keyturn ${kind}s remove ${shellWord(name)}`
          : ''),
    )
  }
}
