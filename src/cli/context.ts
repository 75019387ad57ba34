import { readFile } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import type { Command } from 'commander'
import type { Clock } from '../clock.ts'
import { chooseIssuer } from '../config/choose-issuer.ts'
import type { Config, IssuerConfig } from '../config/schema.ts'
import { KeyturnError, Refused } from '../errors.ts'
import { withAdvice } from './advice.ts'
import { plainJson } from './terminal.ts'

/** What commands have from outside. */
export interface Context {
  readonly env: NodeJS.ProcessEnv
  readonly clock: Clock
  readonly stdin: Readable
  /** May the output have colours? */
  readonly colors: boolean
  /** How many characters the terminal is wide; undefined where the output goes to a file or a program. */
  readonly columns?: number | undefined
  /** Writes a text and a newline to standard output: what the command answers. */
  print(text: string): void
  /** The same to standard error: what a person should know besides. */
  warn(text: string): void
  /** Shows on a terminal how far the work is, in the place of what was shown before. */
  progress?(text: string): void
}

/** Every listing takes it. */
export interface JsonOption {
  readonly json?: true
}

export const JSON_OPTION = ['--json', 'answer in JSON'] as const

/** The configuration that `--config` or the environment names. @throws ConfigInvalid */
export async function loadCommandConfig(program: Command, { env }: Context): Promise<Config> {
  // The schema is slow to import, and help does without.
  const { loadConfig } = await import('../config/load.ts')
  // --config may stand before or after the command.
  const { config: file } = program.opts<{ config?: string }>()
  return loadConfig({ env, file })
}

/**
 * The settings of the issuer that `--issuer` names, or of the only one.
 * @throws ConfigInvalid, and Refused where there are several and none is named
 */
export async function loadIssuerConfig(program: Command, context: Context): Promise<IssuerConfig> {
  const { issuer } = program.opts<{ issuer?: string }>()
  return chooseIssuer(await loadCommandConfig(program, context), issuer)
}

/** The text of a file that an argument names. @throws Refused where it cannot be read */
export async function readArgumentFile(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new Refused(
      'file_unreadable',
      { file },
      `The file ${file} cannot be read: ${error.message}`,
    )
  })
}

export function printJson({ print }: Pick<Context, 'print'>, value: unknown): void {
  print(plainJson(JSON.stringify(value, null, 2)))
}

/**
 * The reason why a command failed: the message of an expected error, otherwise also how to get the
 * stack.
 */
export function reasonOf(error: unknown, { env }: Context): string {
  if (error instanceof KeyturnError) return withAdvice(error)
  if (!(error instanceof Error)) return String(error)
  if (env.KEYTURN_LOG__LEVEL === 'debug') return error.stack ?? error.message
  return `${error.message}\nUnexpected error. Run again with KEYTURN_LOG__LEVEL=debug for the stack.`
}
