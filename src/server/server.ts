import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import type { NewAccount } from '../accounts/new-account.ts'
import { type Clock, systemClock } from '../clock.ts'
import type { Config } from '../config/schema.ts'
import { type Listener, listen } from '../http/listener.ts'
import { createManagementApp, managementHosts } from '../http/management.ts'
import { chooseByTarget } from './choose-by-target.ts'
import { createHealth, type Health } from './health.ts'
import { type Issuer, openIssuer } from './issuer.ts'
import { otherSocket } from './passed-socket.ts'
import { type KeyturnProcess, openProcess } from './process.ts'
import type { Readiness } from './readiness.ts'

/** A running server. */
export interface KeyturnServer {
  /** Address of the public listener; browsers and RPs use the issuer. */
  readonly url: string
  readonly managementUrl: string
  /** Issuers in the order of the configuration. */
  readonly issuers: readonly [Issuer, ...Issuer[]]
  /** First administrator of each issuer on its first start. */
  readonly administrators: readonly FirstAdministrator[]
  readonly registry: Registry
  /** Answer of `/health/ready`. */
  readiness(): Promise<Readiness>
  /**
   * Reports not ready first; after `http.shutdownDelay` open requests finish, then everything is
   * closed.
   */
  close(): Promise<void>
}

/** The first account of an issuer. */
export interface FirstAdministrator extends NewAccount {
  readonly issuer: string
}

export interface ServerOptions {
  readonly log: Logger
  readonly clock?: Clock
  /** Descriptor of the listening socket that was passed to this process (`passed-socket.ts`). */
  readonly socket?: number | undefined
  /** Called when everything is open and nobody is answered yet. */
  readonly beforeListening?: () => Promise<void>
}

/**
 * COMPOSITION ROOT: opens the process, opens its issuers, and listens.
 * @throws KeyturnError with what has to be mended before the server can start
 */
export async function startServer(config: Config, options: ServerOptions): Promise<KeyturnServer> {
  const { log, clock = systemClock, socket } = options
  for (const warning of config.warnings) log.warn(warning)
  // Everything opened so far, to be closed in reverse order at the end or when a start fails.
  const opened = new AsyncDisposableStack()
  try {
    const process = await openProcess(config, { log, clock })
    opened.defer(process.close)
    const issuers = await openIssuers(process, opened)
    process.start()
    const health = createHealth(process.checks, issuers)
    await options.beforeListening?.()
    const management = await listenToOperators(process, health)
    opened.defer(async () => management.close(1))
    const listener = await listenToAll(process, issuers, socket)
    opened.defer(async () => listener.close(config.http.shutdownTimeout))
    // Administrators come last, because a password is shown once, by a start that succeeds.
    const administrators = await addFirstAdministrators(issuers)
    log.info({ node: process.node.id, url: listener.url }, 'answers requests')
    return {
      url: listener.url,
      managementUrl: management.url,
      // A configuration has at least one issuer.
      issuers: issuers as KeyturnServer['issuers'],
      administrators,
      registry: process.metrics.registry,
      readiness: health.readiness,
      close: async () => {
        health.stop()
        listener.announceClose()
        const { shutdownDelay } = config.http
        if (shutdownDelay > 0) await clock.sleep(shutdownDelay, new AbortController().signal)
        // Requests first, because finishing ones still need the rest, above all the stores.
        await opened.disposeAsync()
      },
    }
  } catch (error) {
    await opened.disposeAsync()
    throw error
  }
}

/** Opens the issuers in the order of the configuration. */
async function openIssuers(
  process: KeyturnProcess,
  opened: AsyncDisposableStack,
): Promise<readonly Issuer[]> {
  const issuers: Issuer[] = []
  for (const config of process.config.issuers) {
    const issuer = await openIssuer(process, config)
    opened.defer(issuer.close)
    issuers.push(issuer)
  }
  return issuers
}

async function addFirstAdministrators(
  issuers: readonly Issuer[],
): Promise<readonly FirstAdministrator[]> {
  const administrators: FirstAdministrator[] = []
  for (const { issuer, addFirstAdministrator } of issuers) {
    const made = await addFirstAdministrator()
    if (made) administrators.push({ issuer, ...made })
  }
  return administrators
}

function listenToOperators(
  { config, metrics, log }: KeyturnProcess,
  health: Health,
): Promise<Listener> {
  const { management, http } = config
  const app = createManagementApp({
    readiness: health.readiness,
    registry: () => metrics.registry,
    hosts: managementHosts(management),
    log,
  })
  return listen(app.callback(), { ...management, limits: http.limits })
}

async function listenToAll(
  { config, metrics }: KeyturnProcess,
  issuers: readonly Issuer[],
  socket: number | undefined,
): Promise<Listener> {
  const listener = await listen(chooseByTarget(issuers, config.http), {
    ...config.http,
    socket,
    onClosed: (bound) => metrics.closed.inc({ bound }),
  }).catch((error: NodeJS.ErrnoException) => {
    throw socket !== undefined && error.code === 'EINVAL' ? otherSocket() : error
  })
  metrics.countConnections(() => listener.connections)
  return listener
}
