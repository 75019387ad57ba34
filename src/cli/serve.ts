import { availableParallelism } from 'node:os'
import type { Command } from 'commander'
import type { Logger } from 'pino'
import type { Config } from '../config/schema.ts'
import { Refused } from '../errors.ts'
import type { FirstAdministrator } from '../server/server.ts'
import type { FirstPassword } from '../server/workers/messages.ts'
import { type Context, loadCommandConfig, reasonOf } from './context.ts'

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

/** What `serve` starts several of; nobody else has a use for it. */
export function addWorker(program: Command, context: Context): void {
  program
    .command('worker', { hidden: true })
    .description('one of several processes of the token server')
    .action(() => serveAsWorker(context))
}

/** What the banner tells. */
interface Serving {
  readonly managementUrl: string | undefined
  /** Only on a first start. */
  readonly administrators: readonly FirstPassword[]
}

async function serve(program: Command, context: Context): Promise<void> {
  const config = await loadCommandConfig(program, context)
  const { createLog } = await import('../log.ts')
  const log = createLog(config.log)
  exitOnUnexpected(log)
  const { workers } = config.http
  const count = workers === 'auto' ? availableParallelism() : workers
  if (count === 1) return serveAlone(config, log, context)
  return serveWithWorkers(config, count, log, context)
}

async function serveAlone(config: Config, log: Logger, context: Context): Promise<void> {
  const { startServer } = await import('../server/server.ts')
  const stopped = stopSignal(context)
  const server = await startServer(config, { log }).catch((error: unknown) => {
    throw listenFailure(error, config) ?? error
  })
  const administrators = server.administrators.map(firstPassword)
  context.print(banner(config, { managementUrl: server.managementUrl, administrators }))
  await stopped
  log.info('stopping: open requests finish first')
  await server.close()
  log.info('stopped')
}

async function serveWithWorkers(
  config: Config,
  wanted: number,
  log: Logger,
  context: Context,
): Promise<void> {
  const [{ createWorkers }, { createManagementApp, managementHosts }, { listen }] =
    await Promise.all([
      import('../server/workers/primary.ts'),
      import('../http/management.ts'),
      import('../http/listener.ts'),
    ])
  const stopped = stopSignal(context)
  const workers = createWorkers({ config, wanted, clock: context.clock, log })
  const { readiness, registry } = workers
  const hosts = managementHosts(config.management)
  const app = createManagementApp({ readiness, registry, hosts })
  const management = await listen(app.callback(), {
    ...config.management,
    limits: config.http.limits,
  }).catch((error: unknown) => {
    throw listenFailure(error, config) ?? error
  })
  try {
    const { administrators } = await workers.start()
    context.print(banner(config, { managementUrl: management.url, administrators }))
    await Promise.race([stopped, workers.failed])
  } finally {
    log.info('stopping: open requests finish first')
    await workers.stop()
    await management.close(1)
  }
  log.info('stopped')
}

async function serveAsWorker(context: Context): Promise<void> {
  const [{ createLog }, { startServer }, { thisWorker }] = await Promise.all([
    import('../log.ts'),
    import('../server/server.ts'),
    import('../server/workers/worker.ts'),
  ])
  const worker = thisWorker()
  // The primary gets these signals as well, as Ctrl-C goes to every process of a terminal, and says stop.
  for (const signal of STOP_SIGNALS) process.on(signal, () => {})
  const start = async (config: Config) => {
    const log = createLog(config.log).child({ worker: worker.id })
    exitOnUnexpected(log, worker.fail)
    const server = await startServer(config, { log, worker: worker.id }).catch((error: unknown) => {
      throw listenFailure(error, config) ?? error
    })
    return { ...server, administrators: server.administrators.map(firstPassword) }
  }
  await worker.run(start).catch(async (error: unknown) => {
    await worker.fail(reasonOf(error, context))
    process.exit(1)
  })
}

/** Logs and reports an unexpected error, then ends this process. */
function exitOnUnexpected(log: Logger, tell?: (reason: string) => Promise<void>): void {
  for (const event of ['unhandledRejection', 'uncaughtException'] as const) {
    process.on(event, async (error: unknown) => {
      log.fatal({ err: error }, 'unexpected error; exiting')
      await tell?.(String(error))
      process.exit(1)
    })
  }
}

const STOP_SIGNALS = ['SIGTERM', 'SIGINT'] as const

/**
 * Seconds within which a second signal is the same Ctrl-C, because npm passes on a signal that the
 * terminal has sent to the server too.
 */
const SAME_SIGNAL = 1

/** Resolves at the first signal to stop; a second one exits at once. */
function stopSignal({ clock }: Context): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  let stoppedAt: number | undefined
  for (const signal of STOP_SIGNALS) {
    process.on(signal, () => {
      if (stoppedAt !== undefined && clock.elapsed() - stoppedAt > SAME_SIGNAL) process.exit(1)
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

/** What fails of listening: a worker, whose primary listens for it, says that it cannot bind. */
const LISTEN_CALLS: readonly unknown[] = ['listen', 'bind', 'getaddrinfo']

/** Which of the two listeners cannot listen, and what to do. */
function listenFailure(error: unknown, { http, management }: Config): Refused | undefined {
  // Any error may be read for fields that it does not have.
  const { code = '', syscall, port, address, hostname } = error as ListenError
  const reason = LISTEN_FAILURES[code]
  if (reason === undefined || !LISTEN_CALLS.includes(syscall)) return undefined
  const isManagement = port === undefined ? hostname === management.host : port === management.port
  const [section, { host, port: wanted }] = isManagement
    ? ['management', management]
    : ['http', http]
  const fix = code === 'EADDRINUSE' || code === 'EACCES' ? 'port' : 'host'
  return new Refused(
    'cannot_listen',
    { host: address ?? host, port: wanted },
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

function firstPassword({ issuer, account, oneTimePassword }: FirstAdministrator): FirstPassword {
  return { issuer, username: account.username, oneTimePassword }
}

/** What a person who has just started Keyturn wants to know. */
function banner({ issuers }: Config, { managementUrl, administrators }: Serving): string {
  const hasSeveral = issuers.length > 1
  const command = hasSeveral ? `--issuer ${issuers[0]?.issuer} keys plan` : 'keys plan'
  const lines = [
    '',
    '  Keyturn is running.',
    '',
    ...issuers.flatMap(({ issuer }) => [
      `  Issuer   ${issuer}`,
      `  Open     ${issuer}/.well-known/openid-configuration`,
    ]),
    `  Health   ${managementUrl}/health/ready`,
    `  Next     keyturn ${command}   (in a checkout: npm run --silent keyturn -- ${command})`,
    '           npm run demo        (a relying party in the browser)',
    '',
  ]
  for (const { issuer, username, oneTimePassword } of administrators) {
    lines.push(
      ...(hasSeveral ? [`  ${issuer}`] : []),
      '  This is the first start. The administrator, whose password is shown this once and must be',
      '  changed at the first sign-in:',
      '',
      `  User name   ${username}`,
      `  Password    ${oneTimePassword}`,
      '',
    )
  }
  return lines.join('\n')
}
