import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Subject } from '../audit/record.ts'
import type { ClientChange } from '../clients/change.ts'
import {
  addClient,
  type ClientWork,
  endPreviousSecrets,
  findClient,
  removeClient,
  renewSecret,
  updateClient,
} from '../clients/operate.ts'
import { commandContext } from '../config/client-context.ts'
import { isEmbedded } from '../connection/database-url.ts'
import { ClientInvalid } from '../errors.ts'
import { durationProblem, parseDuration } from '../values/duration.ts'
import { addAuditEvents } from './audit-events.ts'
import {
  given,
  type Metadata,
  type MetadataOptions,
  readMetadata,
  readSecretInput,
  withMetadataOptions,
} from './client-options.ts'
import {
  ends,
  printClient,
  printClients,
  printSecret,
  SECRET_NEWS,
  shownMetadata,
} from './client-words.ts'
import { type Context, JSON_OPTION, type JsonOption, printJson } from './context.ts'
import { type OrderOptions, withOrder } from './order-options.ts'
import { type Session, withSession } from './session.ts'
import { instant } from './words.ts'

export function addClients(clients: Command, program: Command, context: Context): void {
  const session: InSession = (work) => withSession(program, context, work)

  clients
    .command('list')
    .description('list all clients in the order of client_id')
    .option(...JSON_OPTION)
    .action((options: JsonOption) =>
      session(async (open) => printClients(await open.stores.clients.list(), open, options)),
    )
  clients
    .command('show')
    .description('show the metadata of one client, without its secret')
    .argument('<id>')
    .option(...JSON_OPTION)
    .action((id: string, options: JsonOption) =>
      session(async (open) =>
        printClient(await findClient(id, open.stores.clients), open, options),
      ),
    )
  const about = {
    kind: 'client',
    argument: ['id', 'only events of the client with this client_id, removed ones included'],
    isNamed: ({ id }: Subject, named: string) => id === named,
  } as const
  addAuditEvents(clients, about, session)
  addOrders(clients, context, session)
}

type InSession = (work: (session: Session) => Promise<void>) => Promise<void>

/** Adds commands that change clients. */
function addOrders(clients: Command, context: Context, session: InSession): void {
  withOrder(withMetadataOptions(clients.command('add')))
    .description('register a client; a secret is generated if needed, and shown only once')
    .option('--id <client_id>', 'id of the client; generated if missing')
    .option('--secret-stdin', 'read the secret from standard input')
    .option(...JSON_OPTION)
    .action(async (options: AddOptions, command: Command) => {
      if (options.secretStdin && options.file === '-') {
        return command.error('error: --secret-stdin and --file - both read standard input', {
          exitCode: 2,
        })
      }
      const secret = options.secretStdin && (await readSecretInput(context))
      const identity = given({ client_id: options.id, client_secret: secret })
      const metadata = { ...(await readMetadata(options, context)), ...identity }
      await session((open) => addOne(metadata, open, options))
    })
  withOrder(withMetadataOptions(clients.command('update')))
    .description('change properties of a client; its secret, tokens and consents stay')
    .argument('<id>')
    .option('--remove <property...>', 'properties to remove')
    .option(...JSON_OPTION)
    .action(async (id: string, options: UpdateOptions, command: Command) => {
      const { json, actor, reason, remove = [], ...said } = options
      if (remove.length === 0 && Object.keys(said).length === 0) {
        return command.error('error: name at least one change, by options or a --file', {
          exitCode: 2,
        })
      }
      const change = { set: await readMetadata(options, context), remove }
      await session((open) => updateOne(id, change, open, options))
    })
  withOrder(clients.command('secret'))
    .description('give a client a new secret; the present one still works for a while')
    .argument('<id>')
    .addOption(
      new Option('--overlap <duration>', 'how long the present secret still works; 0s ends it now')
        .argParser(overlapArgument)
        .default(DAY, '24h'),
    )
    .option('--secret-stdin', 'read the new secret from standard input instead of generating one')
    .addOption(
      new Option('--end-overlap', 'make no new secret, but end all previous ones now').conflicts([
        'overlap',
        'secretStdin',
      ]),
    )
    .option(...JSON_OPTION)
    .action(async (id: string, options: SecretOptions) => {
      const secret = options.secretStdin && (await readSecretInput(context))
      await session((open) => changeSecret(id, secret, open, options))
    })
  withOrder(clients.command('remove'))
    .description('remove a client with its tokens and consents (takes some seconds)')
    .argument('<id>')
    .option(...JSON_OPTION)
    .action((id: string, options: OrderOptions) => session((open) => removeOne(id, open, options)))
}

interface AddOptions extends MetadataOptions, OrderOptions {
  readonly id?: string
  readonly secretStdin?: true
}

interface UpdateOptions extends MetadataOptions, OrderOptions {
  readonly remove?: readonly string[]
}

interface SecretOptions extends OrderOptions {
  /** Seconds for which the present secret still works. */
  readonly overlap: number
  readonly secretStdin?: true
  readonly endOverlap?: true
}

const DAY = 86_400

/** Longest time that a replaced secret may work. */
const OVERLAP_MAX = 90 * DAY

function overlapArgument(text: string): number {
  const expected = durationProblem(text, { min: 0, max: OVERLAP_MAX })
  if (expected !== undefined) throw new InvalidArgumentError(`It must be ${expected}.`)
  return parseDuration(text)
}

async function addOne(given: Metadata, session: Session, options: OrderOptions): Promise<void> {
  const { metadata, generatedSecret } = await tellingProblems(
    addClient(given, clientWork(session, options)),
    session,
    options,
  )
  const { json } = options
  if (json) {
    const secret = generatedSecret === undefined ? {} : { client_secret: generatedSecret }
    return printJson(session, { ...shownMetadata(metadata), ...secret })
  }
  session.print(`Added client ${metadata.client_id}.`)
  printSecret(session, generatedSecret)
}

async function updateOne(
  id: string,
  change: ClientChange,
  session: Session,
  options: OrderOptions,
): Promise<void> {
  const { metadata, changed, secret, generatedSecret } = await tellingProblems(
    updateClient(id, change, clientWork(session, options)),
    session,
    options,
  )
  if (options.json) {
    const shown = { ...shownMetadata(metadata), ...given({ client_secret: generatedSecret }) }
    return printJson(session, { changed, metadata: shown })
  }
  if (changed.length === 0) session.print(`Client ${id} stays unchanged.`)
  else session.print(`Changed ${changed.join(', ')} of client ${id}.`)
  const news = SECRET_NEWS[secret]
  if (news !== undefined) session.print(news)
  printSecret(session, generatedSecret)
}

async function changeSecret(
  id: string,
  secret: string | undefined,
  session: Session,
  options: SecretOptions,
): Promise<void> {
  const { json, overlap, endOverlap } = options
  const work = clientWork(session, options)
  if (endOverlap) {
    await endPreviousSecrets(id, work)
    if (json) return printJson(session, { client_id: id, previousSecrets: [] })
    return session.print(`Only the newest secret of client ${id} works now.`)
  }
  const { now } = session
  const { generatedSecret, previous } = await tellingProblems(
    renewSecret(id, { secret, overlap }, work),
    session,
    options,
  )
  if (json) {
    const made = given({ client_secret: generatedSecret })
    return printJson(session, { client_id: id, ...made, previousSecrets: ends(previous) })
  }
  session.print(`Client ${id} has a new secret.`)
  printSecret(session, generatedSecret)
  const last = previous.at(-1)
  session.print(
    last
      ? `The previous secret works until ${instant(last.until, now)}.`
      : 'The previous secret no longer works.',
  )
}

async function removeOne(id: string, session: Session, options: OrderOptions): Promise<void> {
  const { config, stores, clock } = session
  await removeClient(id, {
    ...clientWork(session, options),
    isHeard: () => isEmbedded(config.database.url) || stores.redis?.status.isReachable === true,
    clock,
    forget: (clientId) => stores.artifacts.forget('clientId', clientId),
  })
  if (options.json) return printJson(session, { client_id: id, removed: true })
  session.print(`Removed client ${id}.`)
}

function clientWork({ stores, config, policies, now }: Session, order: OrderOptions): ClientWork {
  return {
    clients: stores.clients,
    order,
    now,
    configured: config.clients.map((client) => client.client_id),
    context: commandContext(config, policies),
    assertAcceptable: async (metadata) => {
      // oidc-provider is imported only here, because it is slow and half of these commands do not
      // use it.
      const { createBuildClient } = await import('../oidc/acceptable-client.ts')
      const build = await createBuildClient(config, policies)
      await build(metadata)
    },
  }
}

/** Prints the problems of a client as data for --json, and rethrows. */
async function tellingProblems<T>(
  work: Promise<T>,
  session: Session,
  { json }: JsonOption,
): Promise<T> {
  return work.catch((error: unknown) => {
    if (json && error instanceof ClientInvalid) {
      printJson(session, { ok: false, code: error.code, violations: error.violations })
    }
    throw error
  })
}
