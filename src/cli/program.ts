import { Command, CommanderError } from 'commander'
import { packageVersion } from '../package-files.ts'
import { type Context, reasonOf } from './context.ts'
import { withKidsLast } from './kid-argument.ts'
import { plainText } from './terminal.ts'

const DONE = 0
const FAILED = 1
const WRONG_USAGE = 2

/** Adds options, or the commands of a group, to a command. */
type Fill = (command: Command, program: Command, context: Context) => void

interface LazyCommand {
  readonly description: string
  readonly load: () => Promise<Fill>
}

/**
 * Commands and groups of commands, in the order of the help. Only the named one is loaded, because
 * loading all of them takes long, and a server would keep all of them in memory.
 */
const COMMANDS: Readonly<Record<string, LazyCommand>> = {
  serve: {
    description: 'start the token server',
    load: async () => (await import('./serve.ts')).fillServe,
  },
  keys: {
    description: 'manage the signing keys',
    load: async () => (await import('./keys.ts')).addKeys,
  },
  config: {
    description: 'check and show the configuration',
    load: async () => (await import('./config.ts')).addConfig,
  },
  simulate: {
    description:
      'show if the rotation policy is safe for each kind of relying party, and by what margin',
    load: async () => (await import('./simulate.ts')).fillSimulate,
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
  backup: {
    description: 'write what belongs into a backup to a new folder; servers may run meanwhile',
    load: async () => (await import('./backup.ts')).fillBackup,
  },
  restore: {
    description: 'recover after the database was restored from a backup',
    load: async () => (await import('./restore.ts')).addRestore,
  },
}

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
  for (const [name, { description, load }] of Object.entries(COMMANDS)) {
    const command = program.command(name).description(description)
    if (argv.includes(name)) (await load())(command, program, context)
  }
  try {
    await program.parseAsync(withKidsLast(argv, program), { from: 'user' })
    return DONE
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? DONE : WRONG_USAGE
    context.warn(reasonOf(error, context))
    return FAILED
  }
}
