import type { Command } from 'commander'
import { configJsonSchema, configText, shownSettings } from '../config/show.ts'
import { ConfigInvalid } from '../errors.ts'
import {
  type Context,
  JSON_OPTION,
  type JsonOption,
  loadCommandConfig,
  printJson,
} from './context.ts'

export function addConfig(config: Command, program: Command, context: Context): void {
  config
    .command('check')
    .description('check the configuration and list all problems, each with its smallest fix')
    .option(...JSON_OPTION)
    .action((options: JsonOption) => checkConfig(program, context, options))
  config
    .command('show')
    .description('show the settings in effect and where they come from; secrets are hidden')
    .option(...JSON_OPTION)
    .action(async ({ json }: JsonOption) => {
      const loaded = await loadCommandConfig(program, context)
      if (json) printJson(context, shownSettings(loaded))
      else context.print(configText(loaded).trimEnd())
    })
  config
    .command('schema')
    .description('print a JSON Schema of configuration files, for editors')
    .option(...JSON_OPTION)
    .action(() => printJson(context, configJsonSchema()))
}

/** Checks the configuration. @throws ConfigInvalid, for --json after the answer is printed */
async function checkConfig(
  program: Command,
  context: Context,
  { json }: JsonOption,
): Promise<void> {
  try {
    const { warnings } = await loadCommandConfig(program, context)
    const lines = ['The configuration is valid.', ...warnings.map((text) => `Warning: ${text}`)]
    if (json) printJson(context, { ok: true, violations: [], warnings })
    else context.print(lines.join('\n'))
  } catch (error) {
    if (json && error instanceof ConfigInvalid) {
      const { code, violations } = error
      printJson(context, { ok: false, code, violations, warnings: [] })
    }
    throw error
  }
}
