import type { Readable } from 'node:stream'
import type { Command } from 'commander'
import { readBounded } from '../bounded-file.ts'
import type { Clock } from '../clock.ts'
import { chooseIssuer } from '../config/choose-issuer.ts'
import type { Config, IssuerConfig } from '../config/schema.ts'
import { KeyturnError, Refused } from '../errors.ts'
import { withAdvice } from './advice.ts'
import { plainJson } from './terminal.ts'

/** Environment of a command. */
export interface Context {
  readonly env: NodeJS.ProcessEnv
  readonly clock: Clock
  readonly stdin: Readable
  /** True if the output may have colours. */
  readonly colors: boolean
  /** Width of the terminal in characters; undefined if the output goes to a file or a program. */
  readonly columns?: number | undefined
  /** Writes the answer of the command to standard output, with a newline. */
  print(text: string): void
  /** Writes a note for people to standard error, with a newline. */
  warn(text: string): void
  /** Shows progress on a terminal, in the place of the progress shown before. */
  progress?(text: string): void
}

/** Option for answers in JSON. */
export interface JsonOption {
  readonly json?: true
}

export const JSON_OPTION = ['--json', 'answer in JSON'] as const

/**
 * Loads the configuration that `--config` or the environment names.
 * @throws ConfigInvalid; NotFound for an `--issuer` that it lacks, also if the command needs none
 */
export async function loadCommandConfig(program: Command, { env }: Context): Promise<Config> {
  // The schema is slow to import, and help does without.
  const { loadConfig } = await import('../config/load.ts')
  // commander accepts --config before and after the command.
  const { config: file, issuer } = program.opts<{ config?: string; issuer?: string }>()
  const config = loadConfig({ env, file })
  if (issuer !== undefined) chooseIssuer(config, issuer)
  return config
}

/**
 * Loads the settings of the issuer that `--issuer` names, or of the only issuer.
 * @throws ConfigInvalid; Refused if there are several issuers and none is named
 */
export async function loadIssuerConfig(program: Command, context: Context): Promise<IssuerConfig> {
  const { issuer } = program.opts<{ issuer?: string }>()
  return chooseIssuer(await loadCommandConfig(program, context), issuer)
}

/** Most bytes of a file that an argument names, such as one of a million accounts. */
const ARGUMENT_FILE = 256 * 1024 * 1024

/** Reads a text file that an argument names. @throws Refused if it cannot be read */
export async function readArgumentFile(file: string): Promise<string> {
  const refused = (why: string) =>
    new Refused('file_unreadable', { file }, `The file ${file} cannot be read: ${why}`)
  const bytes = await readBounded(file, ARGUMENT_FILE).catch((error: Error) => {
    throw refused(error.message)
  })
  if (!bytes) throw refused(`it has more than ${ARGUMENT_FILE} bytes.`)
  return Buffer.from(bytes).toString('utf8')
}

export function printJson({ print }: Pick<Context, 'print'>, value: unknown): void {
  print(plainJson(JSON.stringify(value, null, 2)))
}

/** Explains why a command failed, for unexpected errors also how to get the stack. */
export function reasonOf(error: unknown, { env }: Context): string {
  if (error instanceof KeyturnError) return withAdvice(error)
  if (!(error instanceof Error)) return String(error)
  if (env.KEYTURN_LOG__LEVEL === 'debug') return error.stack ?? error.message
  return `${error.message}\nUnexpected error. Run again with KEYTURN_LOG__LEVEL=debug for the stack.`
}
