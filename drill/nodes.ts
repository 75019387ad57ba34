import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from '../lab/free-port.ts'
import type { Service } from '../lab/own-services.ts'
import type { Balancer } from './balancer.ts'
import { type ChaosProxy, startChaosProxy } from './chaos-proxy.ts'
import type { Entrance } from './clusters.ts'
import type { Journal } from './journal.ts'
import type { Random } from './random.ts'
import type { Sabotage } from './settings.ts'
import type { ClockMessage, NodeMessage } from './skewed-clock.ts'

const CLI = join(import.meta.dirname, '../src/cli.ts')
const SKEWED_CLOCK = join(import.meta.dirname, 'skewed-clock.ts')
const SABOTAGE = join(import.meta.dirname, 'sabotage.ts')

/** Milliseconds until a node must be ready, after its start or after a fault is over. */
const READY_LIMIT = 60_000
const POLL = 50

/** A node of the drill: its ports and connections stay the same when its process is replaced. */
export interface Node extends AsyncDisposable {
  /** Name of the process; another one for each process, because a killed node never comes back. */
  readonly name: string
  readonly url: string
  /** True if a process runs and was not told to stop. */
  readonly isUp: boolean
  /**
   * Proxies for the connections to database server and Redis; undefined for SQLite or without
   * Redis.
   */
  readonly database: ChaosProxy | undefined
  readonly redis: ChaosProxy | undefined
  start(): Promise<void>
  /** Sends SIGKILL. Requests under way are excused. */
  kill(): Promise<void>
  /** Sends SIGTERM: the node is not ready first, then its requests finish. Nothing is excused. */
  stop(): Promise<void>
  /** @param offset milliseconds ahead of the machine's clock */
  setClock(offset: number): void
  untilReady(): Promise<void>
}

export interface NodeOptions {
  readonly place: number
  readonly config: string
  /** Folder for the node's log. */
  readonly folder: string
  readonly balancer: Balancer
  readonly journal: Journal
  readonly random: Random
  readonly database: Entrance | undefined
  readonly redis: Service | undefined
  readonly sabotage: Sabotage | undefined
  /** Aborted when the drill waits for nothing any more. */
  readonly halt: AbortSignal
}

export async function createNode(options: NodeOptions): Promise<Node> {
  const { place, config, folder, balancer, journal, random } = options
  const proxyTo = async (service: Entrance | undefined) =>
    service && startChaosProxy(service.port, random)
  const database = await proxyTo(options.database)
  const redis = await proxyTo(options.redis)
  const port = await freePort()
  const managementPort = await freePort()
  const log = join(folder, `node-${place}.log`)
  let life = 0
  let name = ''
  let child: ChildProcess | undefined
  let exited: Promise<unknown> = Promise.resolve()
  let isUp = false

  const killNow = () => child?.kill('SIGKILL')
  process.on('exit', killNow)

  const untilReady = async () => {
    const deadline = Date.now() + READY_LIMIT
    while (!balancer.isReady(name)) {
      if (!isUp || options.halt.aborted) return
      const ended = child?.exitCode ?? child?.signalCode ?? null
      if (ended !== null || Date.now() > deadline) {
        const why = ended === null ? 'does not become ready' : `ended with ${ended}`
        isUp = false
        journal.violation('node', `${name} ${why}: ${readFileSync(log, 'utf8').slice(-1500)}`)
        return
      }
      await delay(POLL)
    }
    while (
      isUp &&
      !options.halt.aborted &&
      Date.now() < deadline &&
      (await lacksRedis(managementPort))
    ) {
      await delay(POLL)
    }
  }
  const leave = async (signal: NodeJS.Signals) => {
    isUp = false
    child?.kill(signal)
    const late = setTimeout(killNow, READY_LIMIT)
    await exited
    clearTimeout(late)
    balancer.remove(name)
  }
  return {
    get name() {
      return name
    },
    get isUp() {
      return isUp
    },
    url: `http://127.0.0.1:${port}`,
    database,
    redis,
    start: async () => {
      if (options.halt.aborted) return
      life += 1
      name = `node ${place}.${life}`
      child = serve(log, options.sabotage, {
        KEYTURN_CONFIG: config,
        KEYTURN_HTTP__PORT: String(port),
        KEYTURN_MANAGEMENT__PORT: String(managementPort),
        ...(database && { KEYTURN_DATABASE__URL: options.database?.url(database.port) }),
        ...(redis && { KEYTURN_REDIS__URL: options.redis?.url(redis.port) }),
      })
      child.on('message', ({ stall }: NodeMessage) => journal.stalled(stall))
      exited = once(child, 'exit')
      isUp = true
      balancer.add({ name, port, managementPort })
      await untilReady()
    },
    kill: async () => {
      const over = journal.excuse({ cause: 'killed node', node: name })
      await leave('SIGKILL')
      over()
    },
    stop: () => leave('SIGTERM'),
    setClock: (offset) => {
      if (child?.connected) child.send({ clockOffset: offset } satisfies ClockMessage)
    },
    untilReady,
    [Symbol.asyncDispose]: async () => {
      if (isUp) await leave('SIGKILL')
      process.removeListener('exit', killNow)
      await database?.[Symbol.asyncDispose]()
      await redis?.[Symbol.asyncDispose]()
    },
  }
}

/** Starts the process of a node, whose output is added to a file. */
function serve(
  log: string,
  sabotage: Sabotage | undefined,
  environment: NodeJS.ProcessEnv,
): ChildProcess {
  const output = openSync(log, 'a')
  const preloads = ['--import', SKEWED_CLOCK, ...sabotagePreload(sabotage)]
  const child = spawn(process.execPath, [...preloads, CLI, 'serve'], {
    stdio: ['ignore', output, output, 'ipc'],
    env: { ...ownEnvironment(sabotage), ...environment },
  })
  closeSync(output)
  return child
}

/** True if the node is ready but has not found Redis again yet. */
async function lacksRedis(managementPort: number): Promise<boolean> {
  const answer = await fetch(`http://127.0.0.1:${managementPort}/health/ready`).catch(() => null)
  // The documented answer of the management listener.
  const body = (await answer?.json()) as { checks?: { redis?: { degraded?: boolean } } } | undefined
  return body?.checks?.redis?.degraded === true
}

/** Runs a command of the CLI as an operator does. @returns its output */
export async function runCommand(
  args: readonly string[],
  options: {
    readonly config: string
    readonly environment: Readonly<Record<string, string>>
    readonly sabotage: Sabotage | undefined
  },
): Promise<{ status: number | null; output: string; errors: string; answeredAt: number }> {
  const preload = sabotagePreload(options.sabotage)
  const child = spawn(process.execPath, [...preload, CLI, ...args, '--config', options.config], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...ownEnvironment(options.sabotage), ...options.environment },
  })
  const kill = () => child.kill('SIGKILL')
  process.on('exit', kill)
  let output = ''
  let errors = ''
  let answeredAt = Number.NaN
  child.stdout.on('data', (text) => {
    if (output === '') answeredAt = Date.now()
    output += text
  })
  child.stderr.on('data', (text) => {
    errors += text
  })
  await once(child, 'close')
  process.removeListener('exit', kill)
  return { status: child.exitCode, output, errors, answeredAt }
}

function sabotagePreload(sabotage: Sabotage | undefined): readonly string[] {
  return sabotage ? ['--import', SABOTAGE] : []
}

/**
 * The environment without the caller's own settings, which must not reach the servers of the drill.
 */
function ownEnvironment(sabotage: Sabotage | undefined): NodeJS.ProcessEnv {
  return {
    ...Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !name.startsWith('KEYTURN_')),
    ),
    ...(sabotage && { DRILL_SABOTAGE: sabotage }),
  }
}
