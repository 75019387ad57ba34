import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFile, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { findProgram, type Identity } from './programs.ts'

/** Server of a pair. */
export interface Member {
  readonly port: number
  readonly data: string
  query<Row extends pg.QueryResultRow>(sql: string): Promise<Row[]>
  start(): Promise<void>
  kill(): Promise<void>
}

type RunAs = Partial<Identity> & { readonly cwd: string }

/** Milliseconds that a start or a promotion may take. */
const START_LIMIT = 60_000
const POLL = 20

/** @param as where it runs, and as whom; its data are in a folder there */
export function createMember(as: RunAs, port: number): Member {
  const { cwd: base } = as
  const data = join(base, `data-${port}`)
  let child: ChildProcess | undefined
  let exited: Promise<unknown> = Promise.resolve()
  const query = async <Row extends pg.QueryResultRow>(sql: string): Promise<Row[]> => {
    const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres' })
    client.on('error', () => {})
    await client.connect()
    try {
      return (await client.query<Row>(sql)).rows
    } finally {
      await client.end().catch(() => {})
    }
  }
  const log = join(base, `log-${port}`)
  return {
    port,
    data,
    query,
    start: async () => {
      child = spawn(
        findProgram('postgres') ?? 'postgres',
        [
          ...['-D', data, '-p', String(port), '-k', base, '-c', 'listen_addresses=127.0.0.1'],
          // Without fsync only a crash of the machine would lose data, not one of the server.
          ...['-c', 'fsync=off', '-c', 'max_connections=200', '-c', 'hot_standby=on'],
          ...['-c', 'shared_buffers=32MB', '-c', 'wal_keep_size=64MB'],
        ],
        { ...as, stdio: ['ignore', 'pipe', 'pipe'] },
      )
      child.stderr?.on('data', (text) => void appendFile(log, text).catch(() => {}))
      exited = once(child, 'exit')
      const ended = exited.then(async () => {
        throw new Error(`PostgreSQL ended: ${(await readFile(log, 'utf8')).slice(-1500)}`)
      })
      ended.catch(() => {})
      await Promise.race([
        untilTrue('PostgreSQL answers', () => query('SELECT 1').then(Boolean)),
        ended,
      ])
    },
    kill: async () => {
      child?.kill('SIGKILL')
      await exited
    },
  }
}

/** @throws if that takes too long */
export async function untilTrue(what: string, ask: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + START_LIMIT
  while (!(await ask().catch(() => false))) {
    if (Date.now() > deadline) throw new Error(`waited in vain: ${what}`)
    await delay(POLL)
  }
}
