import { Command, CommanderError } from 'commander'
import { packageVersion } from '../package-files.ts'
import { addBackup } from './backup.ts'
import { type Context, reasonOf } from './context.ts'
import { withKidsLast } from './kid-argument.ts'
import { addServe } from './serve.ts'
import { addSimulate } from './simulate.ts'
import { plainText } from './terminal.ts'

const DONE = 0
const FAILED = 1
const WRONG_USAGE = 2

/** Adds its commands to a group. */
type AddCommands = (group: Command, program: Command, context: Context) => void

interface Group {
  readonly description: string
  readonly load: () => Promise<AddCommands>
}

/** Groups of commands. Only the named group is loaded, because loading all of them takes long. */
const GROUPS = {
  keys: {
    description: 'manage the signing keys',
    load: async () => (await import('./keys.ts')).addKeys,
  },
  config: {
    description: 'check and show the configuration',
    load: async () => (await import('./config.ts')).addConfig,
  },
  clients: {
    description: 'manage the applications that people sign in to',
    load: async () => (await import('./clients.ts')).addClients,
  },
  accounts: {
    description: 'manage the people who sign in',
    load: async () => (await import('./accounts.ts')).addAccounts,
  },
  nodes: {
    description: 'see the running processes of the server',
    load: async () => (await import('./nodes.ts')).addNodes,
  },
  issuers: {
    description: 'list or rename issuers',
    load: async () => (await import('./issuers.ts')).addIssuers,
  },
  db: {
    description: 'migrate, check or copy the database',
    load: async () => (await import('./db.ts')).addDb,
  },
  restore: {
    description: 'recover after the database was restored from a backup',
    load: async () => (await import('./restore.ts')).addRestore,
  },
} as const satisfies Readonly<Record<string, Group>>

/**
 * Runs one command.
 * @param argv arguments behind the name of the program
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
    .option('--issuer <url>', 'the issuer, if the configuration has several')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => context.print(text.trimEnd()),
      writeErr: (text) => context.warn(text.trimEnd()),
    })
    .exitOverride()
  addServe(program, context)
  const addGroup = async (name: keyof typeof GROUPS) => {
    const { description, load } = GROUPS[name]
    const group = program.command(name).description(description)
    if (argv.includes(name)) (await load())(group, program, context)
  }
  await addGroup('keys')
  await addGroup('config')
  addSimulate(program, context)
  await addGroup('clients')
  await addGroup('accounts')
  await addGroup('nodes')
  await addGroup('issuers')
  await addGroup('db')
  addBackup(program, context)
  await addGroup('restore')
  try {
    await program.parseAsync(withKidsLast(argv, program), { from: 'user' })
    return DONE
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? DONE : WRONG_USAGE
    context.warn(reasonOf(error, context))
    return FAILED
  }
}
