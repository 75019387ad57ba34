import type { Command } from 'commander'
import type { Config } from '../config/schema.ts'
import { Refused } from '../errors.ts'
import type { KeyturnServer } from '../main.ts'
import { type Context, loadCommandConfig } from './context.ts'

export function addServe(program: Command, context: Context): void {
  program
    .command('serve')
    .description('start the token server')
    .addHelpText(
      'after',
      '\nSIGTERM and SIGINT stop it: open requests finish first. A second one is final.',
    )
    .action(() => serve(program, context))
}

async function serve(program: Command, context: Context): Promise<void> {
  const config = loadCommandConfig(program, context)
  const [{ createLog }, { startServer }] = await Promise.all([
    import('../log.ts'),
    import('../main.ts'),
  ])
  const log = createLog(config.log)
  for (const event of ['unhandledRejection', 'uncaughtException'] as const) {
    process.on(event, (error: unknown) => {
      log.fatal({ err: error }, 'an error that nothing expected; the server exits')
      process.exit(1)
    })
  }
  const stopped = stopSignal(context)
  const server = await startServer(config, { log }).catch((error: unknown) => {
    throw listenFailure(error, config) ?? error
  })
  context.print(banner(config, server))
  await stopped
  log.info('stopping: open requests finish first')
  await server.close()
  log.info('stopped')
}

/**
 * npm passes on a Ctrl-C that the terminal has sent to the server as well: two signals within this
 * many seconds are one wish.
 */
const SAME_WISH = 1

/** Resolves at the first signal to stop; the second exits on the spot. */
function stopSignal({ clock }: Context): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  let stoppedAt: number | undefined
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stoppedAt !== undefined && clock.elapsed() - stoppedAt > SAME_WISH) process.exit(1)
      stoppedAt ??= clock.elapsed()
      resolve()
    })
  }
  return promise
}

const LISTEN_FAILURES: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program, perhaps another Keyturn, listens there already',
  EACCES: 'ports below 1024 need a privilege that this process does not have',
  EADDRNOTAVAIL: 'this machine does not have that address',
  ENOTFOUND: 'that host name is not known',
}

/** Which of the two listeners cannot listen, and what to do. */
function listenFailure(error: unknown, { http, management }: Config): Refused | undefined {
  // Any error may be read for fields that it does not have.
  const { code = '', syscall, port, address, hostname } = error as ListenError
  const reason = LISTEN_FAILURES[code]
  if (reason === undefined || (syscall !== 'listen' && syscall !== 'getaddrinfo')) return undefined
  const isManagement = port === undefined ? hostname === management.host : port === management.port
  const [section, { host, port: wanted }] = isManagement
    ? ['management', management]
    : ['http', http]
  const fix = code === 'EADDRINUSE' || code === 'EACCES' ? 'port' : 'host'
  return new Refused(
    `Cannot listen on ${address ?? host}:${wanted} (${section}.host, ${section}.port): ${reason}. ` +
      `Stop it or set ${section}.${fix} to another one.`,
  )
}

/** What `listen` and a look-up of its host throw. */
interface ListenError extends NodeJS.ErrnoException {
  readonly port?: number
  readonly address?: string
  readonly hostname?: string
}

/** What a person who has just started Keyturn wants to know. */
function banner(
  { issuer, admin }: Config,
  { administrator, managementUrl }: KeyturnServer,
): string {
  const lines = [
    '',
    '  Keyturn is running.',
    '',
    `  Issuer   ${issuer}`,
    `  Open     ${issuer}/.well-known/openid-configuration`,
    `  Health   ${managementUrl}/health/ready`,
    '  Next     keyturn keys plan   (in a checkout: npm run --silent keyturn -- keys plan)',
    '           npm run demo        (a relying party in the browser)',
    '',
  ]
  if (administrator) {
    lines.push(
      '  This is the first start. The administrator, whose password is shown this once and must be',
      '  changed at the first sign-in:',
      '',
      `  User name   ${admin.username}`,
      `  Password    ${administrator.oneTimePassword}`,
      '',
    )
  }
  return lines.join('\n')
}
