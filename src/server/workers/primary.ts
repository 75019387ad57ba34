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
 * Several processes that answer on one port of one machine. Their primary opens no store and
 * answers no request: it starts them, replaces those that die, and speaks for all of them.
 */
export interface Workers {
  /**
   * Starts one worker, so that migrations, first keys and the first administrator are made once,
   * and then, without waiting for them, the others.
   * @returns what the first one said
   * @throws WorkersFailed with the reason of a first worker that does not start
   */
  start(): Promise<Started>
  /** Rejects with WorkersFailed once workers die again and again. */
  readonly failed: Promise<never>
  /** Ready while a worker runs and all that run are ready; with the checks of each. */
  readiness(): Promise<Readiness>
  /** The metrics of all workers, summed, and some about the workers. */
  registry(): Promise<Registry>
  /** Not ready first; resolves when all workers have finished what was under way and ended. */
  stop(): Promise<void>
}

export interface WorkersOptions {
  readonly config: Config
  /** How many. */
  readonly wanted: number
  readonly clock: Clock
  readonly log: Logger
}

/** Seconds: a worker that answered for less long has died young. */
const YOUNG = 10
/**
 * So many that died young within so many seconds, while no other answers, are a loop which a further
 * start will not mend.
 */
const LOOP = { deaths: 5, window: 60 }
/** Seconds from the first young death to its replacement; doubles with each within the window. */
const FIRST_PAUSE = 0.1
const LONGEST_PAUSE = 15
/** Seconds beyond shutdownDelay and shutdownTimeout that a worker has for closing its stores. */
const CLOSING_LIMIT = 5

export function createWorkers({ config, wanted, clock, log }: WorkersOptions): Workers {
  // The primary accepts and hands over. Were the port opened by each worker (SO_REUSEPORT), the
  // kernel would queue connections for one of them and reset those when that worker ends.
  cluster.schedulingPolicy = cluster.SCHED_RR
  // Structured clones: JSON knows neither NaN nor Infinity, which metrics use.
  cluster.setupPrimary({ args: ['worker'], serialization: 'advanced' })

  const processes = new Set<WorkerProcess>()
  const stopping = new AbortController()
  const failed = Promise.withResolvers<never>()
  // Who waits for workers to fail also waits for other things; nobody may be left.
  failed.promise.catch(() => {})
  const metrics = createSummedMetrics()
  const own = createOwnMetrics({ wanted, clock, running: () => running().length })
  let youngDeaths: number[] = []

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

  /** Keeps one of the wanted workers running, with whatever process. */
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

  /** @returns seconds until the replacement starts; undefined where there is to be none */
  function pauseAfter(
    { id, pid }: WorkerProcess,
    { reason, lived }: WorkerEnd,
  ): number | undefined {
    own.deaths.inc()
    const now = clock.elapsed()
    youngDeaths = youngDeaths.filter((at) => now - at < LOOP.window)
    if (lived < YOUNG) youngDeaths.push(now)
    const deaths = youngDeaths.length
    // While others answer, the JWKS above all, there is time to mend what ails the one.
    if (deaths >= LOOP.deaths && running().length === 0) {
      const message = `${deaths} workers died within ${LOOP.window} s. The last one: ${reason}`
      failed.reject(new WorkersFailed(message))
      return undefined
    }
    const pause = lived < YOUNG ? Math.min(FIRST_PAUSE * 2 ** (deaths - 1), LONGEST_PAUSE) : 0
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
    // Not those that have ended meanwhile.
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
      // What is worth saying was said.
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

/** What only the primary knows. */
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
  // Instants of several processes make no sum; the server began with its primary.
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
