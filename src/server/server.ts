import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import type { NewAccount } from '../accounts/new-account.ts'
import { type Clock, systemClock } from '../clock.ts'
import type { Config } from '../config/schema.ts'
import { type Listener, listen } from '../http/listener.ts'
import { createManagementApp, managementHosts } from '../http/management.ts'
import type { Scheduler } from '../ring/scheduler.ts'
import { type Issuer, openIssuer } from './issuer.ts'
import { type KeyturnProcess, openProcess } from './process.ts'
import { askChecks, type Readiness } from './readiness.ts'

/** A server that answers. */
export interface KeyturnServer {
  /** Where the public listener listens; browsers and RPs use the issuer. */
  readonly url: string
  /** Undefined in a worker. */
  readonly managementUrl: string | undefined
  readonly scheduler: Scheduler
  /** Only on a first start. */
  readonly administrator: NewAccount | undefined
  readonly registry: Registry
  /** What `/health/ready` answers. */
  readiness(): Promise<Readiness>
  /** Not ready first; after `http.shutdownDelay` open requests finish, then everything is closed. */
  close(): Promise<void>
}

export interface ServerOptions {
  readonly log: Logger
  readonly clock?: Clock
  /**
   * The id of this process, where it is one of several on this machine. Their primary has the
   * management listener, and this process none.
   */
  readonly worker?: number
}

/**
 * THE COMPOSITION ROOT: opens the process, opens its issuer, and listens.
 * @throws KeyturnError with what has to be mended before the server can start
 */
export async function startServer(config: Config, options: ServerOptions): Promise<KeyturnServer> {
  const { log, clock = systemClock, worker } = options
  for (const warning of config.warnings) log.warn(warning)
  // Everything opened so far, to be closed in reverse order at the end or when a start fails.
  const opened = new AsyncDisposableStack()
  try {
    const process = await openProcess(config, { log, clock, worker })
    opened.defer(process.close)
    const issuer = await openIssuer(process, config)
    opened.defer(issuer.close)
    process.start()
    const health = createHealth(process, issuer)
    const management = worker === undefined ? await listenToOperators(process, health) : undefined
    opened.defer(async () => management?.close(1))
    const listener = await listenToAll(process, issuer)
    opened.defer(async () => listener.close(config.http.shutdownTimeout))
    // The administrator comes last, because the password is shown once, by a start that succeeds.
    const administrator = await issuer.addFirstAdministrator()
    log.info({ node: process.node.id, url: listener.url }, 'answers requests')
    return {
      url: listener.url,
      managementUrl: management?.url,
      scheduler: issuer.scheduler,
      administrator,
      registry: process.metrics.registry,
      readiness: health.readiness,
      close: async () => {
        health.stop()
        listener.sendAway()
        const { shutdownDelay } = config.http
        if (shutdownDelay > 0) await clock.sleep(shutdownDelay, new AbortController().signal)
        // Requests first: those that finish still need the rest, and the stores most of all.
        await opened.disposeAsync()
      },
    }
  } catch (error) {
    await opened.disposeAsync()
    throw error
  }
}

/** What readiness says of a whole server. */
interface Health {
  readiness(): Promise<Readiness>
  /** From now on the server is not ready. */
  stop(): void
}

function createHealth(process: KeyturnProcess, issuer: Issuer): Health {
  let isStopping = false
  const server = () => ({ ok: !isStopping, detail: isStopping ? 'stopping' : 'running' })
  return {
    readiness: () => askChecks({ server, ...process.checks, ...issuer.checks }),
    stop: () => {
      isStopping = true
    },
  }
}

function listenToOperators({ config, metrics }: KeyturnProcess, health: Health): Promise<Listener> {
  const { management, http } = config
  const app = createManagementApp({
    readiness: health.readiness,
    registry: () => metrics.registry,
    hosts: managementHosts(management),
  })
  return listen(app.callback(), { ...management, limits: http.limits })
}

async function listenToAll(
  { config, metrics }: KeyturnProcess,
  { answer }: Issuer,
): Promise<Listener> {
  const listener = await listen(answer, {
    ...config.http,
    onClosed: (bound) => metrics.closed.inc({ bound }),
  })
  metrics.countConnections(() => listener.connections)
  return listener
}
