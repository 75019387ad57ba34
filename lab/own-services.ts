import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { createConnection } from 'mysql2/promise'
import { Client } from 'pg'
import { findProgram, identityOf } from './programs.ts'
import { freePort } from './server.ts'

/**
 * Database servers and Redis of one's own, on free ports and in folders of their own, that may be
 * stopped and started again. Nothing of them is left at the end, however that comes.
 */
export interface Service extends AsyncDisposable {
  readonly port: number
  /** Where it answers; `keyturn` is the database of a database server. */
  url(port?: number): string
  /** `fast` ends open transactions; `immediate` is a crash. What was committed stays in both. */
  stop(how: 'fast' | 'immediate'): Promise<void>
  /** Starts it again, on the same port. */
  start(): Promise<void>
}

export type ServiceKind = 'postgres' | 'mariadb' | 'redis'

interface ServiceProgram {
  /** The server's program, the first found of these names. */
  readonly programs: readonly string[]
  /** Who runs it where this process is root; these servers refuse to be root. */
  readonly user?: string
  /** Makes an empty data folder. */
  readonly prepare: (folder: string, run: Run) => void
  readonly args: (folder: string, port: number) => readonly string[]
  readonly signals: Readonly<Record<'fast' | 'immediate', NodeJS.Signals>>
  /** Rejects until it answers. */
  readonly ask: (port: number) => Promise<void>
  readonly url: (port: number) => string
}

type Run = (program: string, args: readonly string[]) => void

/** Milliseconds that a start or a stop may take. */
const PATIENCE = 60_000
const POLL = 50

const PROGRAMS: Readonly<Record<ServiceKind, ServiceProgram>> = {
  postgres: {
    programs: ['postgres'],
    user: 'postgres',
    prepare: (folder, run) =>
      run('initdb', ['-D', folder, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-sync']),
    args: (folder, port) => [
      ...['-D', folder, '-p', String(port), '-k', folder, '-c', 'listen_addresses=127.0.0.1'],
      // A crash of the server loses nothing without it; only one of the machine would.
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
      // What was answered survives a crash of the server, as with the others: by default the file may be
      // two seconds behind.
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

/** Which of them this machine has the programs of. */
export async function findServices(): Promise<ReadonlySet<ServiceKind>> {
  const found = new Set<ServiceKind>()
  for (const kind of ['postgres', 'mariadb', 'redis'] as const) {
    if (PROGRAMS[kind].programs.some(findProgram)) found.add(kind)
  }
  return found
}

export interface ServiceOptions {
  /** Arguments of the server's program beside its own. */
  readonly args?: readonly string[]
  /** Files that it must own. */
  readonly files?: readonly string[]
}

/** @throws where the program is missing, or does not start; then with the end of its log */
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
    const late = setTimeout(() => child?.kill('SIGKILL'), PATIENCE)
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
    const deadline = Date.now() + PATIENCE
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

/** At the exit of this process nothing can be waited for, and a server may still write. */
function removeFolder(folder: string): void {
  const asleep = new Int32Array(new SharedArrayBuffer(4))
  for (let left = 50; left > 0 && existsSync(folder); left -= 1) {
    try {
      rmSync(folder, { recursive: true, force: true })
    } catch {
      // Not empty any more.
    }
    if (existsSync(folder)) Atomics.wait(asleep, 0, 0, POLL)
  }
}

function tail(file: string): string {
  return readFileSync(file, 'utf8').slice(-2000)
}
