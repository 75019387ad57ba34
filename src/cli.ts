#!/usr/bin/env node
import { Command, CommanderError } from 'commander'
import type { Context } from './cli/context.ts'
import { addServe } from './cli/serve.ts'
import { KeyturnError } from './errors.ts'

/** Exit status: 0 done, 1 refused or failed with the reason on standard error, 2 wrong usage. */
async function main(argv: readonly string[], context: Context): Promise<number> {
  const program = new Command('keyturn')
    .description('An OpenID Connect token server whose signing keys rotate themselves')
    .option('-c, --config <file>', 'configuration laid over config/default.yaml')
    .exitOverride()
  addServe(program, context)
  try {
    await program.parseAsync(argv, { from: 'user' })
    return 0
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    process.stderr.write(`${error instanceof KeyturnError ? error.message : error}\n`)
    return 1
  }
}

process.exitCode = await main(process.argv.slice(2), {
  env: process.env,
  print: (text) => process.stdout.write(`${text}\n`),
})
