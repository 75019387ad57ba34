import { Session } from 'node:inspector/promises'
import type { Command } from 'commander'
import type { Logger } from 'pino'
import type { Config } from '../config/schema.ts'
import { Refused } from '../errors.ts'
import type { KeyturnServer } from '../server/server.ts'
import { type Context, loadCommandConfig } from './context.ts'

export function fillServe(serving: Command, program: Command, context: Context): void {
  serving
    .addHelpText(
      'after',
      '\nSIGTERM and SIGINT stop the server after open requests have finished. A second signal stops it at once.',
    )
    .action(() => serve(program, context))
}

async function serve(program: Command, context: Context): Promise<void> {
  const config = await loadCommandConfig(program, context)
  const [{ createLog }, { startServer }, { passedSocket }] = await Promise.all([
    import('../log.ts'),
    import('../server/server.ts'),
    import('../server/passed-socket.ts'),
  ])
  const log = createLog(config.log)
  exitOnUnexpected(log)
  const { socketActivation } = config.http
  const socket = socketActivation ? passedSocket(context.env, process.pid) : undefined
  const stopped = stopSignal(context)
  const options = { log, socket, beforeListening: collectGarbage }
  const server = await startServer(config, options).catch((error: unknown) => {
    throw listenFailure(error, config) ?? error
  })
  context.print(banner(config, server))
  await stopped
  log.info('stopping: open requests finish first')
  await server.close()
  log.info('stopped')
}

/**
 * Gives back memory that only the start needed, because V8 collects the whole heap only as it
 * grows, and the heap of an idle server does not grow.
 */
async function collectGarbage(): Promise<void> {
  const session = new Session()
  session.connect()
  await session.post('HeapProfiler.collectGarbage')
  session.disconnect()
}

/** Logs an unexpected error, then ends this process. */
function exitOnUnexpected(log: Logger): void {
  for (const event of ['unhandledRejection', 'uncaughtException'] as const) {
    process.on(event, (error: unknown) => {
      log.fatal({ err: error }, 'unexpected error; exiting')
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
  EADDRINUSE: 'another program, perhaps another Keyturn, already listens there',
  EACCES: 'ports below 1024 need a privilege that this process does not have',
  EADDRNOTAVAIL: 'this machine does not have that address',
  ENOTFOUND: 'that host name is not known',
}

/** System calls of listening on a host and a port. */
const LISTEN_CALLS: readonly unknown[] = ['listen', 'getaddrinfo']

/** The refusal for a listener that cannot listen; undefined for other errors. */
function listenFailure(error: unknown, { http, management }: Config): Refused | undefined {
  // The cast is right, because a missing field reads as undefined.
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

/** Error of `listen` or of the look-up of its host. */
interface ListenError extends NodeJS.ErrnoException {
  readonly port?: number
  readonly address?: string
  readonly hostname?: string
}

/** The text for a person who has just started Keyturn. */
function banner(
  { issuers }: Config,
  { managementUrl, administrators }: Pick<KeyturnServer, 'managementUrl' | 'administrators'>,
): string {
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
  for (const { issuer, account, oneTimePassword } of administrators) {
    lines.push(
      ...(hasSeveral ? [`  ${issuer}`] : []),
      '  This is the first start. The password of the administrator is shown only this once and must be',
      '  changed at the first sign-in:',
      '',
      `  User name   ${account.username}`,
      `  Password    ${oneTimePassword}`,
      '',
    )
  }
  return lines.join('\n')
}
