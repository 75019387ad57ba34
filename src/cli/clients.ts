import { text } from 'node:stream/consumers'
import type { Command } from 'commander'
import { clientSchema, describedProperties } from '../clients/properties.ts'
import { toRfc3339 } from '../clock.ts'
import { clientViolations } from '../config/check.ts'
import { isEmbedded } from '../database-url.ts'
import { listed, NotFound, Refused } from '../errors.ts'
import { shellWord } from '../shell-word.ts'
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
import { counted, fromNow } from './words.ts'

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
      await session((open) => addClient(given, open, options))
    })
  clients
    .command('remove')
    .description('forget a client; what it was given stops working (takes some seconds)')
    .argument('<id>')
    .option(...JSON_OPTION)
    .action((id: string, options: JsonOption) => session((open) => removeClient(id, open, options)))
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

async function addClient(given: Metadata, session: Session, { json }: JsonOption): Promise<void> {
  const { completeClient, validateClient } = await import('./client-metadata.ts')
  const violations = clientViolations({ client_id: 'new', ...given })
  if (violations.length > 0) {
    if (json) printJson(session, { ok: false, violations })
    throw new Refused(
      `The client is refused, with ${counted(violations.length, 'problem')}:\n${listed(violations)}`,
    )
  }
  const { metadata, generatedSecret } = completeClient(clientSchema.partial().parse(given))
  const id = metadata.client_id
  if (session.config.clients.some((client) => client.client_id === id)) throw configured(id)
  const unknown = await validateClient(metadata, session.config, session.policies)
  if (!(await session.stores.clients.add(metadata))) {
    throw new Refused(
      `There is a client ${id} already. See: keyturn clients show ${shellWord(id)}. If that does not ` +
        `find it, its record was changed by somebody else; to make room for it: keyturn clients remove ${shellWord(id)}`,
    )
  }
  if (unknown.length > 0) session.warn(`Not known and without effect: ${unknown.join(', ')}`)
  if (json) {
    const secret = generatedSecret === undefined ? {} : { client_secret: generatedSecret }
    return printJson(session, { ...withoutSecret(metadata), ...secret })
  }
  session.print(`Added client ${id}.`)
  if (generatedSecret !== undefined) {
    session.print(`Secret ${generatedSecret}\nIt is shown this once.`)
  }
}

/** Seconds for which a request that has begun may still issue tokens. */
const UNDER_WAY = 1

async function removeClient(id: string, session: Session, { json }: JsonOption): Promise<void> {
  const { clients } = session.stores
  const isForged = (await clients.forged()).includes(id)
  const source = isForged ? 'operator' : (await findClient(id, clients)).source
  if (source === 'config' || session.config.clients.some((client) => client.client_id === id)) {
    throw configured(id)
  }
  const { config, stores, clock } = session
  await stores.clients.remove(id)
  // What servers that had not heard of it gave it meanwhile.
  const isHeard = isEmbedded(config.database.url) || stores.redis?.status.isReachable === true
  const pause = (isHeard ? 0 : CLIENT_CACHE) + UNDER_WAY
  await clock.sleep(pause, new AbortController().signal)
  await stores.artifacts.forget('clientId', id)
  if (json) return printJson(session, { client_id: id, removed: true })
  session.print(`Removed client ${id}.`)
}

function configured(id: string): Refused {
  return new Refused(
    `Client ${id} is defined by the configuration, which is written into the store at every ` +
      'start. Change or remove it there, under clients, and restart.',
  )
}

async function findClient(id: string, clients: Session['stores']['clients']): Promise<Client> {
  const client = await clients.find(id)
  if (client) return client
  throw new NotFound(`There is no client ${id}. See: keyturn clients list`)
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
