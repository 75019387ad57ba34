import { Command, CommanderError } from 'commander'
import { packageVersion } from '../package-files.ts'
import { addAccounts } from './accounts.ts'
import { addBackup } from './backup.ts'
import { addClients } from './clients.ts'
import { addConfig } from './config.ts'
import { type Context, reasonOf } from './context.ts'
import { addDb } from './db.ts'
import { addIssuers } from './issuers.ts'
import { addKeys } from './keys.ts'
import { withKidsLast } from './kid-argument.ts'
import { addNodes } from './nodes.ts'
import { addRestore } from './restore.ts'
import { addServe, addWorker } from './serve.ts'
import { addSimulate } from './simulate.ts'
import { plainText } from './terminal.ts'

const DONE = 0
const FAILED = 1
const WRONG_USAGE = 2

/**
 * Runs one command.
 * @param argv what stands behind the name of the program
 * @returns the exit status: 0 done, 1 refused or failed with the reason on standard error, 2 wrong
 *   usage
 */
export async function runCommand(argv: readonly string[], outside: Context): Promise<number> {
  const context: Context = {
    ...outside,
    print: (text) => outside.print(plainText(text)),
    warn: (text) => outside.warn(plainText(text)),
  }
  const program = new Command('keyturn')
    .description('An OpenID Connect token server whose signing keys rotate themselves')
    .version(packageVersion(), '-V, --version')
    .option('-c, --config <file>', 'configuration laid over config/default.yaml')
    .option('--issuer <url>', 'the issuer that is meant, where the configuration has several')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => context.print(text.trimEnd()),
      writeErr: (text) => context.warn(text.trimEnd()),
    })
    .exitOverride()
  addServe(program, context)
  addWorker(program, context)
  addKeys(program, context)
  addConfig(program, context)
  addSimulate(program, context)
  addClients(program, context)
  addAccounts(program, context)
  addNodes(program, context)
  addIssuers(program, context)
  addDb(program, context)
  addBackup(program, context)
  addRestore(program, context)
  try {
    await program.parseAsync(withKidsLast(argv, program), { from: 'user' })
    return DONE
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? DONE : WRONG_USAGE
    context.warn(reasonOf(error, context))
    return FAILED
  }
}
