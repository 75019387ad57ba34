import cluster from 'node:cluster'
import type { Logger } from 'pino'
import { Counter, Gauge, Registry } from 'prom-client'
import type { Clock } from '../../clock.ts'
import type { Config } from '../../config/schema.ts'
import { WorkersFailed } from '../../errors.ts'
import type { Check, Readiness } from '../readiness.ts'
import type { Started } from './messages.ts'
import { createSummedMetrics } from './summed-metrics.ts'
import { launchWorker, type WorkerEnd, type WorkerProcess } from './worker-process.ts'

/**
 * Several processes that answer on one port of a machine. Their primary opens no store and answers
 * no request: it starts the workers, replaces those that die, and reports for all of them.
 */
export interface Workers {
  /**
   * Starts one worker first, so that migrations, first keys and the first administrator are made
   * once, and then the others without waiting for them.
   * @returns report of the first worker
   * @throws WorkersFailed with the reason if the first worker does not start
   */
  start(): Promise<Started>
  /** Rejects with WorkersFailed if workers die again and again. */
  readonly failed: Promise<never>
  /**
   * Ready while at least one worker runs and all running ones are ready; with the checks of each.
   */
  readiness(): Promise<Readiness>
  /** The metrics of all workers, summed, and some about the workers. */
  registry(): Promise<Registry>
  /** Reports not ready first; resolves when all workers have finished their requests and ended. */
  stop(): Promise<void>
}

export interface WorkersOptions {
  readonly config: Config
  /** Number of workers. */
  readonly wanted: number
  readonly clock: Clock
  readonly log: Logger
}

/** Seconds; the death of a worker that answered for a shorter time counts as an early death. */
const EARLY_DEATH = 10
/** Give up after this many early deaths within this many seconds if no worker is running. */
const LOOP = { deaths: 5, window: 60 }
/**
 * Seconds from an early death to the replacement; doubles with each further one within the window.
 */
const FIRST_PAUSE = 0.1
const LONGEST_PAUSE = 15
/** Seconds beyond shutdownDelay and shutdownTimeout that a worker has for closing its stores. */
const CLOSING_LIMIT = 5

export function createWorkers({ config, wanted, clock, log }: WorkersOptions): Workers {
  // The primary accepts connections and hands them over. If each worker opened the port
  // (SO_REUSEPORT), the kernel would queue connections for a worker and reset them when it ends.
  cluster.schedulingPolicy = cluster.SCHED_RR
  // Structured clones, because JSON lacks NaN and Infinity, which metrics use.
  cluster.setupPrimary({ args: ['worker'], serialization: 'advanced' })

  const processes = new Set<WorkerProcess>()
  const stopping = new AbortController()
  const failed = Promise.withResolvers<never>()
  // Avoids an unhandled rejection while nothing awaits `failed`.
  failed.promise.catch(() => {})
  const metrics = createSummedMetrics()
  const own = createOwnMetrics({ wanted, clock, running: () => running().length })
  let earlyDeaths: number[] = []

  const running = () => [...processes].filter((worker) => worker.isRunning)

  function launch(settings: Config): WorkerProcess {
    const worker = launchWorker(settings, clock)
    processes.add(worker)
    void worker.ended.then(() => {
      processes.delete(worker)
      metrics.forget(worker.id)
    })
    return worker
  }

  /** Keeps one of the wanted workers running, replacing its process when it dies. */
  async function keepRunning(first: WorkerProcess, settings: Config): Promise<void> {
    let worker = first
    for (;;) {
      const end = await worker.ended
      if (stopping.signal.aborted) return
      const pause = pauseAfter(worker, end)
      if (pause === undefined) return
      await clock.sleep(pause, stopping.signal)
      if (stopping.signal.aborted) return
      worker = launch(settings)
    }
  }

  /** @returns seconds until the replacement starts; undefined if there must be none */
  function pauseAfter(
    { id, pid }: WorkerProcess,
    { reason, lived }: WorkerEnd,
  ): number | undefined {
    own.deaths.inc()
    const now = clock.elapsed()
    earlyDeaths = earlyDeaths.filter((at) => now - at < LOOP.window)
    if (lived < EARLY_DEATH) earlyDeaths.push(now)
    const deaths = earlyDeaths.length
    // While other workers answer, above all the JWKS, there is time to mend the failing one.
    if (deaths >= LOOP.deaths && running().length === 0) {
      const message = `${deaths} workers died within ${LOOP.window} s. The last one: ${reason}`
      failed.reject(new WorkersFailed(message))
      return undefined
    }
    const pause = lived < EARLY_DEATH ? Math.min(FIRST_PAUSE * 2 ** (deaths - 1), LONGEST_PAUSE) : 0
    log.error(
      { worker: id, pid, reason, lived: Math.round(lived) },
      'a worker died; it is replaced',
    )
    return pause
  }

  async function checkWorkers(): Promise<Readiness> {
    const answers = await Promise.all(
      running().map(async (worker) => ({ worker, answer: await worker.ask('readiness') })),
    )
    // Without workers that have ended meanwhile.
    const workers = answers
      .filter(({ worker }) => worker.isRunning)
      .map(({ worker: { id, pid }, answer = NO_ANSWER }) => ({ id, pid, ...answer }))
    const isStopping = stopping.signal.aborted
    const checks: Readonly<Record<string, Check>> = {
      server: { ok: !isStopping, detail: isStopping ? 'stopping' : 'running' },
      workers: {
        ok: workers.length > 0,
        degraded: workers.length < wanted,
        detail: `${workers.length} of ${wanted} run`,
      },
    }
    const all = [...Object.values(checks), ...workers]
    return {
      ok: all.every(({ ok }) => ok),
      degraded: all.some(({ degraded }) => degraded),
      checks,
      workers,
    }
  }

  async function stopAll(): Promise<void> {
    for (const worker of processes) worker.stop()
    const { shutdownDelay, shutdownTimeout } = config.http
    const ended = new AbortController()
    const limit = shutdownDelay + shutdownTimeout + CLOSING_LIMIT
    void clock.sleep(limit, ended.signal).then(() => {
      for (const { id, pid, kill } of ended.signal.aborted ? [] : processes) {
        log.error({ worker: id, pid }, `a worker did not end within ${limit} s and is killed`)
        kill()
      }
    })
    await Promise.all([...processes].map((worker) => worker.ended))
    ended.abort()
  }

  return {
    start: async () => {
      const first = launch(config)
      const started = await first.started
      if (!started) throw new WorkersFailed((await first.ended).reason)
      // The first worker has logged the warnings.
      const settings = { ...config, warnings: [] }
      void keepRunning(first, settings)
      for (let index = 1; index < wanted && !stopping.signal.aborted; index += 1) {
        void keepRunning(launch(settings), settings)
      }
      return started
    },
    failed: failed.promise,
    readiness: checkWorkers,
    registry: async () => {
      await Promise.all(
        running().map(async (worker) => {
          const snapshot = await worker.ask('metrics')
          if (snapshot && worker.isRunning) metrics.note(worker.id, snapshot)
        }),
      )
      return Registry.merge([await metrics.registry(), own.registry])
    },
    stop: async () => {
      stopping.abort()
      await stopAll()
    },
  }
}

const NO_ANSWER: Readiness = {
  ok: false,
  checks: { server: { ok: false, detail: 'does not answer its primary' } },
}

/** Metrics that only the primary has. */
function createOwnMetrics(options: {
  readonly wanted: number
  readonly clock: Clock
  running(): number
}) {
  const registry = new Registry()
  const registers = [registry]
  new Gauge({
    name: 'keyturn_workers',
    help: 'Workers that answer requests',
    registers,
    collect() {
      this.set(options.running())
    },
  })
  new Gauge({ name: 'keyturn_workers_wanted', help: 'Workers that should', registers }).set(
    options.wanted,
  )
  // The primary's start, because the instants of several processes cannot be summed.
  new Gauge({
    name: 'keyturn_process_start_time_seconds',
    help: 'Start time of the process since unix epoch in seconds.',
    registers,
  }).set(options.clock.now() - Math.round(process.uptime()))
  const deaths = new Counter({
    name: 'keyturn_worker_deaths_total',
    help: 'Workers that died and were replaced',
    registers,
  })
  return { registry, deaths }
}
