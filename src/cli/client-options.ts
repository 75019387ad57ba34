import { text } from 'node:stream/consumers'
import { type Command, Option } from 'commander'
import { describedProperties } from '../clients/properties.ts'
import { readYaml } from '../config/yaml.ts'
import { Refused } from '../errors.ts'
import { HIDDEN } from '../values/text.ts'
import { type Context, readArgumentFile } from './context.ts'

/** Reads client metadata (RFC 7591) from the options of a command and from a file. */

export type Metadata = Readonly<Record<string, unknown>>

export interface MetadataOptions {
  readonly name?: string
  readonly redirectUri?: readonly string[]
  readonly postLogoutRedirectUri?: readonly string[]
  readonly grantType?: readonly string[]
  readonly authMethod?: string
  readonly public?: true
  readonly native?: true
  readonly scope?: string
  readonly idTokenAlg?: string
  readonly file?: string
}

export function withMetadataOptions(command: Command): Command {
  return command
    .option('--name <text>', 'shown when people are asked for consent')
    .option('--redirect-uri <uri...>', 'where people return after a sign-in')
    .option('--post-logout-redirect-uri <uri...>', 'where people may return after a sign-out')
    .option('--grant-type <type...>', 'such as authorization_code refresh_token')
    .option('--auth-method <method>', 'how the client authenticates; default client_secret_basic')
    .addOption(
      new Option(
        '--public',
        'an app that cannot keep a secret: in a browser or on a phone',
      ).conflicts('authMethod'),
    )
    .option('--native', 'an app on a phone or desktop, whose redirect URIs may have other schemes')
    .option('--scope <scopes>', 'scopes that the client may ask for, such as "openid email"')
    .option('--id-token-alg <alg>', 'algorithm of its ID tokens, which needs a ring; default RS256')
    .option('--file <file>', 'read metadata (RFC 7591) from a JSON file, - for standard input')
    .addHelpText('after', ({ command: { parent } }) => propertiesHelp(parent ?? command))
}

/** Metadata from a file and from options, which take precedence. @throws Refused for a bad file */
export async function readMetadata(
  options: MetadataOptions,
  { stdin }: Pick<Context, 'stdin'>,
): Promise<Metadata> {
  const { file } = options
  const base = file === undefined ? {} : parseMetadata(await readSource(file, stdin), file)
  return {
    ...base,
    ...given({
      client_name: options.name,
      redirect_uris: options.redirectUri,
      post_logout_redirect_uris: options.postLogoutRedirectUri,
      grant_types: options.grantType,
      token_endpoint_auth_method: options.public ? 'none' : options.authMethod,
      application_type: options.native && 'native',
      scope: options.scope,
      id_token_signed_response_alg: options.idTokenAlg,
    }),
  }
}

/** The metadata without undefined values, from options that were not given. */
export function given(metadata: Metadata): Metadata {
  return Object.fromEntries(Object.entries(metadata).filter(([, value]) => value !== undefined))
}

/**
 * A secret from standard input, without the line break at its end.
 * @throws Refused for none, in whose place another would be generated
 */
export async function readSecretInput({ stdin }: Pick<Context, 'stdin'>): Promise<string> {
  const secret = (await text(stdin)).replace(/\r?\n$/, '')
  if (secret !== '') return secret
  throw invalid('Standard input is empty, but --secret-stdin reads the secret from it.')
}

async function readSource(file: string, stdin: Context['stdin']): Promise<string> {
  if (file === '-') return text(stdin)
  return readArgumentFile(file)
}

function parseMetadata(json: string, file: string): Metadata {
  const name = file === '-' ? 'Standard input' : `The file ${file}`
  // The replacement character stands for bytes that are not UTF-8.
  if (json.includes('\ufffd')) {
    throw invalid(`${name} is not UTF-8 text, but JSON must be (RFC 8259, section 8.1).`)
  }
  const value = parseJson(json, name)
  assertUnique(json, name)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid(`${name} is not a JSON object with client metadata (RFC 7591).`)
  }
  return value as Metadata // an object of JSON has names and values
}

function parseJson(json: string, name: string): unknown {
  try {
    // A byte order mark may be ignored (RFC 8259, section 8.1).
    return JSON.parse(json.replace(/^\ufeff/, ''))
  } catch (error) {
    throw invalid(`${name} is not JSON: ${reasonOf(error)}.`)
  }
}

/**
 * Refuses repeated names, of which JSON.parse would silently take the last (RFC 8259, section 4).
 */
function assertUnique(json: string, name: string): void {
  const twice = readYaml(json).problems.find(({ detail }) => detail.includes('unique'))
  if (twice) throw invalid(`${name} has a property twice (${twice.place}).`)
}

function invalid(message: string): Refused {
  return new Refused('input_invalid', {}, message)
}

/** The parser's message without quoted text, which may be a secret. */
function reasonOf(error: unknown): string {
  const reason = error instanceof Error ? error.message.replace(/, (\.\.\.)?".*$/s, '') : `${error}`
  return reason.replace(new RegExp(HIDDEN, 'gu'), nameOf)
}

/** The code point of an invisible character, such as U+200B. */
function nameOf(character: string): string {
  const number = (character.codePointAt(0) ?? 0).toString(16).toUpperCase()
  return `U+${number.padStart(4, '0')}`
}

/** Help for the properties that a file can have, in the format of the options above it. */
function propertiesHelp(command: Command): string {
  const help = command.createHelp()
  const described = describedProperties()
  const width = Math.max(...described.map(([name]) => name.length))
  const lines = described.map(([name, about]) => help.formatItem(name, width, about, help))
  return `\nProperties in a file, and of clients in the configuration:\n${lines.join('\n')}`
}
