import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { createConnection } from 'mysql2/promise'
import { Client } from 'pg'
import { freePort } from './free-port.ts'
import { findProgram, identityOf } from './programs.ts'

/**
 * Starts database servers and Redis on free ports and in temporary folders, which may be stopped
 * and started again. Nothing of them is left when this process ends, however it ends.
 */
export interface Service extends AsyncDisposable {
  readonly port: number
  /** URL of the service; a database server has the database `keyturn`. */
  url(port?: number): string
  /**
   * Stops the server. `fast` ends open transactions; `immediate` is a crash. Committed data stay in
   * both cases.
   */
  stop(how: 'fast' | 'immediate'): Promise<void>
  /** Starts the server again on the same port. */
  start(): Promise<void>
}

export type ServiceKind = 'postgres' | 'mariadb' | 'redis'

interface ServiceProgram {
  /** Names of the server's program; the first found is used. */
  readonly programs: readonly string[]
  /**
   * User that runs the server if this process is root, because these servers refuse to run as root.
   */
  readonly user?: string
  /** Makes an empty data folder. */
  readonly prepare: (folder: string, run: Run) => void
  readonly args: (folder: string, port: number) => readonly string[]
  readonly signals: Readonly<Record<'fast' | 'immediate', NodeJS.Signals>>
  /** Rejects until the server answers. */
  readonly ask: (port: number) => Promise<void>
  readonly url: (port: number) => string
}

type Run = (program: string, args: readonly string[]) => void

/** Milliseconds that a start or a stop may take. */
const START_LIMIT = 60_000
const POLL = 50

const PROGRAMS: Readonly<Record<ServiceKind, ServiceProgram>> = {
  postgres: {
    programs: ['postgres'],
    user: 'postgres',
    prepare: (folder, run) =>
      run('initdb', ['-D', folder, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-sync']),
    args: (folder, port) => [
      ...['-D', folder, '-p', String(port), '-k', folder, '-c', 'listen_addresses=127.0.0.1'],
      // Without fsync only a crash of the machine would lose data, not one of the server.
      ...['-c', 'fsync=off', '-c', 'max_connections=200'],
    ],
    signals: { fast: 'SIGINT', immediate: 'SIGQUIT' },
    ask: async (port) => {
      const client = new Client({ host: '127.0.0.1', port, user: 'postgres' })
      client.on('error', () => {})
      await client.connect()
      await client.end()
    },
    url: (port) => `postgres://postgres@127.0.0.1:${port}/postgres`,
  },
  mariadb: {
    programs: ['mariadbd', 'mysqld'],
    user: 'mysql',
    prepare: (folder, run) =>
      run('mariadb-install-db', [
        ...['--no-defaults', `--datadir=${folder}`, '--skip-test-db'],
        '--auth-root-authentication-method=normal',
      ]),
    args: (folder, port) => [
      ...['--no-defaults', `--datadir=${folder}`, `--port=${port}`, '--bind-address=127.0.0.1'],
      ...[`--socket=${folder}/mariadb.sock`, '--max-connections=200'],
      '--innodb-flush-log-at-trx-commit=2',
    ],
    signals: { fast: 'SIGTERM', immediate: 'SIGKILL' },
    ask: async (port) => {
      const connection = await createConnection({ host: '127.0.0.1', port, user: 'root' })
      await connection.query('CREATE DATABASE IF NOT EXISTS keyturn')
      await connection.end()
    },
    url: (port) => `mysql://root@127.0.0.1:${port}/keyturn`,
  },
  redis: {
    programs: ['redis-server'],
    prepare: () => {},
    args: (folder, port) => [
      ...['--port', String(port), '--bind', '127.0.0.1', '--dir', folder],
      // Answered writes survive a crash of the server, as with the others; by default the file may
      // be two seconds behind.
      ...['--appendonly', 'yes', '--appendfsync', 'always', '--save', ''],
    ],
    signals: { fast: 'SIGTERM', immediate: 'SIGKILL' },
    ask: async (port) => {
      const redis = new Redis({
        ...{ host: '127.0.0.1', port, lazyConnect: true },
        ...{ retryStrategy: null, maxRetriesPerRequest: 0 },
      })
      redis.on('error', () => {})
      try {
        await redis.connect()
        await redis.ping()
      } finally {
        redis.disconnect()
      }
    },
    url: (port) => `redis://127.0.0.1:${port}/0`,
  },
}

/** Services whose programs this machine has. */
export async function findServices(): Promise<ReadonlySet<ServiceKind>> {
  const found = new Set<ServiceKind>()
  for (const kind of ['postgres', 'mariadb', 'redis'] as const) {
    if (PROGRAMS[kind].programs.some(findProgram)) found.add(kind)
  }
  return found
}

export interface ServiceOptions {
  /** Further arguments of the server's program. */
  readonly args?: readonly string[]
  /** Files that the server must own. */
  readonly files?: readonly string[]
}

/** @throws if the program is missing or does not start, with the end of its log */
export async function startService(
  kind: ServiceKind,
  options: ServiceOptions = {},
): Promise<Service> {
  const { programs, user, prepare, args, signals, ask, url } = PROGRAMS[kind]
  const program = programs.map(findProgram).find(Boolean)
  if (!program) throw new Error(`${programs[0]} is not installed`)

  const base = mkdtempSync(join(tmpdir(), `keyturn-${kind}-`))
  const identity = user === undefined ? undefined : identityOf(user)
  if (identity) {
    for (const file of [base, ...(options.files ?? [])]) chownSync(file, identity.uid, identity.gid)
  }
  const data = join(base, 'data')
  const log = join(base, 'log')
  const port = await freePort()
  let child: ChildProcess | undefined
  let exited: Promise<unknown> = Promise.resolve()

  const removeAll = () => {
    child?.kill(signals.immediate)
    removeFolder(base)
  }
  process.once('exit', removeAll)

  const stop = async (how: 'fast' | 'immediate') => {
    child?.kill(signals[how])
    const late = setTimeout(() => child?.kill('SIGKILL'), START_LIMIT)
    await exited
    clearTimeout(late)
  }
  const start = async () => {
    const output = openSync(log, 'a')
    child = spawn(program, [...args(data, port), ...(options.args ?? [])], {
      ...identity,
      cwd: base,
      stdio: ['ignore', output, output],
    })
    exited = once(child, 'exit')
    const deadline = Date.now() + START_LIMIT
    for (;;) {
      try {
        await ask(port)
        return
      } catch (error) {
        if (child.exitCode !== null || Date.now() > deadline) {
          throw new Error(`${kind} does not start: ${tail(log)}`, { cause: error })
        }
      }
      await delay(POLL)
    }
  }
  const dispose = async () => {
    await stop('immediate')
    process.removeListener('exit', removeAll)
    removeAll()
  }

  try {
    const run: Run = (name, args) => {
      const found = findProgram(name)
      if (!found) throw new Error(`${name} is not installed`)
      execFileSync(found, args, { ...identity, cwd: base, stdio: ['ignore', 'ignore', 'pipe'] })
    }
    execFileSync('mkdir', [data], identity)
    prepare(data, run)
    await start()
  } catch (error) {
    await dispose()
    throw error
  }
  return {
    port,
    url: (through = port) => url(through),
    stop,
    start,
    [Symbol.asyncDispose]: dispose,
  }
}

/**
 * Removes a folder synchronously, because nothing can be awaited at exit and a server may still
 * write.
 */
function removeFolder(folder: string): void {
  const asleep = new Int32Array(new SharedArrayBuffer(4))
  for (let left = 50; left > 0 && existsSync(folder); left -= 1) {
    try {
      rmSync(folder, { recursive: true, force: true })
    } catch {
      // The server has written another file meanwhile.
    }
    if (existsSync(folder)) Atomics.wait(asleep, 0, 0, POLL)
  }
}

function tail(file: string): string {
  return readFileSync(file, 'utf8').slice(-2000)
}
