import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import type { Logger } from 'pino'
import { createPasswords, type Passwords } from '../accounts/password.ts'
import { createForgeries } from '../artifacts/forgeries.ts'
import { createSweeper } from '../artifacts/sweeper.ts'
import type { Clock } from '../clock.ts'
import type { Config } from '../config/schema.ts'
import { isEmbedded } from '../connection/database-url.ts'
import { createInFlight, type InFlight } from '../http/in-flight.ts'
import { createDatabaseClock, type DatabaseClock } from '../nodes/database-clock.ts'
import { packageVersion } from '../package-files.ts'
import type { KeptRings, KeptRingsOptions } from './kept-rings.ts'
import { createMetrics, type ProcessMetrics } from './metrics.ts'
import { type Checks, clockCheck, databaseCheck, redisCheck } from './readiness.ts'
import { openStores, type Stores } from './stores.ts'

/** Parts that all issuers of a process share, opened first and closed last. */
export interface KeyturnProcess {
  readonly config: Config
  readonly log: Logger
  readonly clock: Clock
  readonly stores: Stores
  readonly databaseClock: DatabaseClock
  /** Name of this process in the list of nodes. */
  readonly node: NodeName
  readonly metrics: ProcessMetrics
  /** Requests of all issuers, which have a common bound. */
  readonly inFlight: InFlight
  /** Password hashing, shared because its cost is the machine's. */
  readonly passwords: Passwords
  /** True if the process has several issuers, which are then named in logs and metrics. */
  readonly hasSeveral: boolean
  /** True if other nodes, with other configurations, may use the same database. */
  readonly isShared: boolean
  /** Readiness checks of the process itself. */
  readonly checks: Checks
  /** Starts background work once the issuers are open. */
  start(): void
  close(): Promise<void>
}

export interface NodeName {
  /** Id: the host, and a random end that differs for each process. */
  readonly id: string
  readonly version: string
  readonly startedAt: number
}

export interface ProcessOptions {
  readonly log: Logger
  readonly clock: Clock
}

/**
 * Opens what all issuers share: the database and Redis with their stores, the clock of the
 * database, metrics, the sweeper, and the rings of ASP.NET Core that it keeps.
 * @throws KeyturnError with what has to be mended before the server can start
 */
export async function openProcess(
  config: Config,
  { log, clock }: ProcessOptions,
): Promise<KeyturnProcess> {
  const opened = new AsyncDisposableStack()
  try {
    const forgeries = createForgeries(log, clock)
    const stores = await openStores(config, clock, forgeries.note)
    opened.defer(stores.close)
    await reportDatabases(stores, log)
    // The secret of a store in memory is lost with its process, while people in the database stay,
    // so they are authenticated anew; a warning explains the risk.
    if (config.keyStore.type === 'memory') await stores.authenticateAnew(await stores.openSecret())
    const { clockSkew } = config.rotation
    const databaseClock = createDatabaseClock({ store: stores.nodes, clock, clockSkew })
    const hasSeveral = config.issuers.length > 1
    const inFlight = createInFlight(config.http.limits)
    const metrics = createMetrics({
      hasSeveral,
      clockOffset: databaseClock.offset,
      redis: stores.redis?.status,
      database: stores.database,
      inFlight: () => inFlight.count,
      forgeries: forgeries.count,
    })
    const sweeper = createSweeper({
      artifacts: stores,
      clock,
      ...config.sweep,
      onFailure: (error) => log.error({ err: error }, 'expired records could not be deleted'),
    })
    opened.defer(sweeper.stop)
    const keptRings = await openConfiguredRings(config, { clock, databaseClock, log, metrics })
    opened.defer(async () => keptRings?.stop())
    return {
      config,
      log,
      clock,
      stores,
      databaseClock,
      node: { id: nodeId(), version: packageVersion(), startedAt: clock.now() },
      metrics,
      inFlight,
      passwords: createPasswords(config.password.argon2),
      hasSeveral,
      isShared: !isEmbedded(config.database.url) || config.http.socketActivation,
      checks: { ...processChecks(config, stores, databaseClock), ...keptRings?.checks },
      start: () => {
        sweeper.start()
        keptRings?.start()
      },
      close: () => opened.disposeAsync(),
    }
  } catch (error) {
    await opened.disposeAsync()
    throw error
  }
}

/** Loads what rings of ASP.NET Core need only if there are any, because it is kept in memory. */
async function openConfiguredRings(
  config: Config,
  options: KeptRingsOptions,
): Promise<KeptRings | undefined> {
  if (config.dataProtection.rings.length === 0) return undefined
  const { openKeptRings } = await import('./kept-rings.ts')
  return openKeptRings(config, options)
}

/** Logs advice about the database and Redis now, and their failures later. */
async function reportDatabases(stores: Stores, log: Logger): Promise<void> {
  for (const advice of await stores.advise()) log.warn(advice)
  stores.database.watch(({ detail }) => log.error(`the database: ${detail}`))
  stores.redis?.status.watch(({ isReachable, detail }) =>
    isReachable ? log.info(detail) : log.error(detail),
  )
}

function processChecks(
  { management }: Config,
  { database, redis }: Stores,
  databaseClock: DatabaseClock,
): Checks {
  const isStrict = management.readiness === 'strict'
  return {
    clock: () => clockCheck(databaseClock),
    database: () => databaseCheck(database, isStrict),
    ...(redis ? { redis: () => redisCheck(redis.status, isStrict) } : {}),
  }
}

function nodeId(): string {
  return `${hostname()}-${randomBytes(3).toString('hex')}`
}
