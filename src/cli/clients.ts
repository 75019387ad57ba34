import { text } from 'node:stream/consumers'
import type { Command } from 'commander'
import { clientContext } from '../clients/context.ts'
import { addClient, type ClientWork, findClient, removeClient } from '../clients/operate.ts'
import { describedProperties } from '../clients/properties.ts'
import { toRfc3339 } from '../clock.ts'
import { isEmbedded } from '../database-url.ts'
import { ClientInvalid, Refused } from '../errors.ts'
import { CLIENT_CACHE } from '../store/client-adapter.ts'
import {
  type Context,
  JSON_OPTION,
  type JsonOption,
  printJson,
  readArgumentFile,
} from './context.ts'
import { type Session, withSession } from './session.ts'
import { table } from './table.ts'
import { fromNow } from './words.ts'

type Metadata = Readonly<Record<string, unknown>>
type Client = Awaited<ReturnType<Session['stores']['clients']['list']>>[number]

export function addClients(program: Command, context: Context): void {
  const clients = program.command('clients').description('the applications that people sign in to')
  const session = (work: (session: Session) => Promise<void>) => withSession(program, context, work)

  clients
    .command('list')
    .description('every client, in order of client_id')
    .option(...JSON_OPTION)
    .action((options: JsonOption) => session((open) => listClients(open, options)))
  clients
    .command('show')
    .description('the metadata of one client; never its secret')
    .argument('<id>')
    .option(...JSON_OPTION)
    .action((id: string, options: JsonOption) => session((open) => showClient(id, open, options)))
  clients
    .command('add')
    .description(
      'register a client; a secret that it needs and is not given is made and shown once',
    )
    .option('--id <client_id>', 'made if it is not given')
    .option('--name <text>', 'shown when people are asked for consent')
    .option('--redirect-uri <uri...>', 'where people come back to after a sign-in')
    .option('--post-logout-redirect-uri <uri...>', 'where they may come back to after a sign-out')
    .option('--grant-type <type...>', 'such as authorization_code refresh_token')
    .option('--public', 'an app that can keep no secret: in a browser or on a phone')
    .option('--native', 'an app on a phone or desktop, whose redirect URIs may have other schemes')
    .option('--scope <scopes>', 'all that it may ask for, such as "openid email"')
    .option('--id-token-alg <alg>', 'signs its ID tokens; needs a ring; RS256 unless told')
    .option('--secret-stdin', 'read its secret from standard input')
    .option('--file <file>', 'read metadata (RFC 7591) from a JSON file, - for standard input')
    .option(...JSON_OPTION)
    .addHelpText('after', () => propertiesHelp(program))
    .action(async (options: AddOptions, command: Command) => {
      if (options.secretStdin && options.file === '-') {
        return command.error('error: --secret-stdin and --file - both read standard input', {
          exitCode: 2,
        })
      }
      const given = await readMetadata(options, context)
      await session((open) => addOne(given, open, options))
    })
  clients
    .command('remove')
    .description('forget a client; what it was given stops working (takes some seconds)')
    .argument('<id>')
    .option(...JSON_OPTION)
    .action((id: string, options: JsonOption) => session((open) => removeOne(id, open, options)))
}

interface AddOptions extends JsonOption {
  readonly id?: string
  readonly name?: string
  readonly redirectUri?: readonly string[]
  readonly postLogoutRedirectUri?: readonly string[]
  readonly grantType?: readonly string[]
  readonly public?: true
  readonly native?: true
  readonly scope?: string
  readonly idTokenAlg?: string
  readonly secretStdin?: true
  readonly file?: string
}

async function listClients(session: Session, { json }: JsonOption): Promise<void> {
  const clients = await session.stores.clients.list()
  if (json) return printJson(session, clients.map(clientRow))
  if (clients.length === 0) return session.print('There are no clients. See: keyturn clients add')
  const rows = clients.map(({ id, metadata, source, updatedAt }) => [
    id,
    String(metadata.client_name ?? '-'),
    metadata.token_endpoint_auth_method === 'none' ? 'public' : 'confidential',
    source === 'config' ? 'configuration' : 'operator',
    fromNow(updatedAt, session.now),
  ])
  session.print(table(['CLIENT', 'NAME', 'KIND', 'DEFINED BY', 'CHANGED'], rows, session))
}

async function showClient(id: string, session: Session, { json }: JsonOption): Promise<void> {
  const client = clientRow(await findClient(id, session.stores.clients))
  if (json) return printJson(session, client)
  const by = client.source === 'config' ? 'the configuration' : 'an operator'
  session.print(`Defined by ${by}, changed ${client.updatedAt}.`)
  session.print(JSON.stringify(client.metadata, null, 2))
}

async function addOne(given: Metadata, session: Session, options: JsonOption): Promise<void> {
  const { metadata, generatedSecret } = await tellingProblems(
    addClient(given, clientWork(session)),
    session,
    options,
  )
  const { json } = options
  if (json) {
    const secret = generatedSecret === undefined ? {} : { client_secret: generatedSecret }
    return printJson(session, { ...withoutSecret(metadata), ...secret })
  }
  session.print(`Added client ${metadata.client_id}.`)
  if (generatedSecret !== undefined) {
    session.print(`Secret ${generatedSecret}\nIt is shown this once.`)
  }
}

/** Seconds for which a request that has begun may still issue tokens. */
const UNDER_WAY = 1

async function removeOne(id: string, session: Session, { json }: JsonOption): Promise<void> {
  const { config, stores, clock } = session
  const isHeard = () => isEmbedded(config.database.url) || stores.redis?.status.isReachable === true
  await removeClient(id, {
    ...clientWork(session),
    untilHeard: () =>
      clock.sleep((isHeard() ? 0 : CLIENT_CACHE) + UNDER_WAY, new AbortController().signal),
    forget: (clientId) => stores.artifacts.forget('clientId', clientId),
  })
  if (json) return printJson(session, { client_id: id, removed: true })
  session.print(`Removed client ${id}.`)
}

function clientWork({ stores, config, policies }: Session): ClientWork {
  return {
    clients: stores.clients,
    configured: config.clients.map((client) => client.client_id),
    context: clientContext(config),
    assertAcceptable: async (metadata) => {
      // oidc-provider is slow to import, and half of these commands do without.
      const { createBuildClient } = await import('../oidc/acceptable-client.ts')
      const build = await createBuildClient(config, policies)
      await build(metadata)
    },
  }
}

/** Programs get what is wrong with a client as data. */
async function tellingProblems<T>(
  work: Promise<T>,
  session: Session,
  { json }: JsonOption,
): Promise<T> {
  return work.catch((error: unknown) => {
    if (json && error instanceof ClientInvalid) {
      printJson(session, { ok: false, violations: error.violations })
    }
    throw error
  })
}

/** The properties that a file can give, in the manner of the options above them. */
function propertiesHelp(program: Command): string {
  const help = program.createHelp()
  const described = describedProperties()
  const width = Math.max(...described.map(([name]) => name.length))
  const lines = described.map(([name, text]) => help.formatItem(name, width, text, help))
  return `\nProperties in a file, and of clients in the configuration:\n${lines.join('\n')}`
}

/** What flags say, over what a file says. */
async function readMetadata(options: AddOptions, { stdin }: Context): Promise<Metadata> {
  const { file } = options
  const base = file === undefined ? {} : parseMetadata(await readSource(file, stdin), file)
  const secret = options.secretStdin ? (await text(stdin)).replace(/\r?\n$/, '') : undefined
  const flags = {
    client_id: options.id,
    client_name: options.name,
    redirect_uris: options.redirectUri,
    post_logout_redirect_uris: options.postLogoutRedirectUri,
    grant_types: options.grantType,
    token_endpoint_auth_method: options.public && 'none',
    application_type: options.native && 'native',
    scope: options.scope,
    id_token_signed_response_alg: options.idTokenAlg,
    client_secret: secret,
  }
  const said = Object.entries(flags).filter(([, value]) => value !== undefined)
  return { ...base, ...Object.fromEntries(said) }
}

async function readSource(file: string, stdin: Context['stdin']): Promise<string> {
  if (file === '-') return text(stdin)
  return readArgumentFile(file)
}

function parseMetadata(json: string, file: string): Metadata {
  const name = file === '-' ? 'Standard input' : `The file ${file}`
  try {
    // RFC 8259, section 8.1: a byte order mark may be passed over.
    const value: unknown = JSON.parse(json.replace(/^\ufeff/, ''))
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return value as Metadata // an object of JSON has names and values
    }
  } catch (error) {
    throw new Refused(`${name} is not JSON: ${error instanceof Error ? error.message : error}`)
  }
  throw new Refused(`${name} holds no JSON object with client metadata (RFC 7591).`)
}

function clientRow({ id, metadata, source, updatedAt }: Client) {
  return { id, source, updatedAt: toRfc3339(updatedAt), metadata: withoutSecret(metadata) }
}

function withoutSecret(metadata: Metadata): Metadata {
  return metadata.client_secret === undefined ? metadata : { ...metadata, client_secret: '***' }
}
