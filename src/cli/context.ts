import type { Command } from 'commander'
import { loadConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'

/** What commands have from outside. */
export interface Context {
  readonly env: NodeJS.ProcessEnv
  /** Writes a text and a newline to standard output. */
  print(text: string): void
}

/** The configuration that `--config` or the environment names. @throws ConfigInvalid */
export function loadCommandConfig(program: Command, { env }: Context): Config {
  const { config: file } = program.opts<{ config?: string }>()
  return loadConfig({ env, file })
}
