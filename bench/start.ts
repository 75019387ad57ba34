import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from '../lab/free-port.ts'
import { receiving } from '../lab/passed-socket.ts'
import { requestTokens, tokenRequest } from './browser.ts'
import { within } from './child.ts'
import { openConnection } from './connection.ts'
import type { Measure } from './figure.ts'
import { writeConfig } from './setting.ts'
import { median } from './statistics.ts'

const REPEATS = { full: 5, quick: 3 }
const START_LIMIT = 30_000
/** Milliseconds from one try to the next. */
const POLL = 5
/** Milliseconds without a request until memory is read. */
const SETTLE = { full: 10_000, quick: 4000 }

/**
 * The compiled server is measured from the start of its process to the first opaque token by client
 * credentials: in an empty folder, and again in the same folder from SIGTERM of the first process
 * on. Another start answers nothing but that it is ready, and its resident memory is read after
 * some idle time.
 */
export const starts: Measure = async (bench) => {
  bench.say('cold start and restart ...')
  const mode = bench.isQuick ? 'quick' : 'full'
  const cold: number[] = []
  const restart: number[] = []
  let memory = NaN
  for (let repeat = 0; repeat < REPEATS[mode]; repeat += 1) {
    const ports = { http: await freePort(), management: await freePort() }
    const config = writeConfig(bench.folder(), { ports })
    compiledCli()
    const startedAt = performance.now()
    await using first = serve(config)
    await firstToken(ports.http)
    cold.push(performance.now() - startedAt)

    const stoppedAt = performance.now()
    await first.stop()
    await using second = serve(config)
    await firstToken(ports.http)
    restart.push(performance.now() - stoppedAt)

    if (repeat === 0) {
      await second.stop()
      bench.say('idle memory ...')
      await using idle = serve(config)
      await untilReady(ports.management)
      await delay(SETTLE[mode])
      memory = residentMemory(idle.child)
    }
  }
  const seconds = (times: readonly number[]) => ({
    keyturn: `${(median(times) / 1000).toFixed(2)} s`,
    value: median(times) / 1000,
    unit: 's' as const,
  })
  return [
    {
      name: 'cold start to first token',
      note: 'empty folder: database, keys and administrator are made',
      ...seconds(cold),
      aim: { bound: 'most', value: 3 },
    },
    {
      name: 'restart to first token',
      note: 'from SIGTERM of the process before',
      ...seconds(restart),
      aim: { bound: 'most', value: 1.5 },
    },
    {
      name: 'idle memory',
      note: `resident, ${SETTLE[mode] / 1000} s after it is ready`,
      keyturn: `${memory.toFixed(0)} MB`,
      value: memory,
      unit: 'MB',
      aim: { bound: 'most', value: 120 },
    },
  ]
}

interface Serving extends AsyncDisposable {
  readonly child: ChildProcess
  stop(): Promise<void>
}

const ROOT = join(import.meta.dirname, '..')

let isBuilt = false

/** The program as it is installed. @returns its path */
function compiledCli(): string {
  if (!isBuilt) execFileSync('npm', ['run', '--silent', 'build'], { cwd: ROOT })
  isBuilt = true
  return join(ROOT, 'dist', 'cli.js')
}

/**
 * Starts the compiled server.
 * @param socket descriptor of a socket that is passed to it
 */
export function serve(config: string, { socket }: { readonly socket?: number } = {}): Serving {
  const command = [process.execPath, compiledCli(), '--config', config, 'serve'] as const
  const [program, ...args] = socket === undefined ? command : receiving(command)
  const passed = socket === undefined ? [] : [socket]
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'ignore', ...passed] })
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  const exited = once(child, 'exit')
  const stop = async () => {
    child.kill('SIGTERM')
    await within(START_LIMIT, 'the server to stop', exited).catch(kill)
    process.removeListener('exit', kill)
  }
  return { child, stop, [Symbol.asyncDispose]: stop }
}

async function firstToken(port: number): Promise<void> {
  const deadline = performance.now() + START_LIMIT
  const bytes = tokenRequest({ grant_type: 'client_credentials' })
  while (performance.now() < deadline) {
    try {
      const connection = await openConnection(port)
      try {
        await requestTokens(connection, bytes)
        return
      } finally {
        connection.close()
      }
    } catch {
      await delay(POLL)
    }
  }
  throw new Error(`no token within ${START_LIMIT / 1000} s of the start`)
}

async function untilReady(port: number): Promise<void> {
  const url = `http://127.0.0.1:${port}/health/ready`
  const deadline = performance.now() + START_LIMIT
  while (performance.now() < deadline) {
    if ((await fetch(url).catch(() => undefined))?.ok) return
    await delay(POLL)
  }
  throw new Error(`not ready within ${START_LIMIT / 1000} s of the start`)
}

/** Resident set in megabytes (10^6 bytes). */
function residentMemory({ pid }: ChildProcess): number {
  const kibibytes = execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })
  return (Number(kibibytes) * 1024) / 1e6
}
