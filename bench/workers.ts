import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from '../lab/server.ts'
import { requestTokens, tokenRequest } from './browser.ts'
import { within } from './child.ts'
import { openConnection } from './connection.ts'
import type { Aim, Figure, Measure } from './figure.ts'
import { type Prepare, runLoad } from './load.ts'
import { RESOURCES, writeConfig } from './setting.ts'
import { serve } from './start.ts'
import { median } from './statistics.ts'
import { clientCredentials } from './tokens.ts'

/** Milliseconds of load. */
const ROUND = { full: 4000, quick: 1500 }
const ROUNDS = { full: 6, quick: 4 }
const START_LIMIT = 30_000
/** Milliseconds from one try to the next. */
const POLL = 50

interface Load {
  readonly name: string
  readonly note: string
  readonly aim?: Aim
  prepare(port: number): Prepare
}

const LOADS: readonly Load[] = [
  {
    name: '2 workers, RS256 JWT',
    note: 'processor time of a client-credentials request, beside one process',
    aim: { bound: 'most', value: 1.1 },
    prepare: () => clientCredentials({ resource: RESOURCES.RS256 }),
  },
  {
    name: '2 workers, opaque',
    note: 'the same with a token stored in SQLite, which two processes write',
    prepare: () => clientCredentials({}),
  },
  {
    name: '2 workers, RS256 JWT, new connections',
    note: 'the same with a connection for each request, which the primary hands over',
    prepare: (port) => async () => async () => {
      const connection = await openConnection(port)
      await requestTokens(connection, REQUEST)
      connection.close()
    },
  },
]

const REQUEST = tokenRequest({ grant_type: 'client_credentials', resource: RESOURCES.RS256 })

/**
 * Compares the processor time of a request with two workers, including their primary, with that of
 * one process, in turns. Requests per second would say little on a small machine, because one
 * process already signs on every core.
 */
export const workers: Measure = async (bench) => {
  const mode = bench.isQuick ? 'quick' : 'full'
  await using one = await serveWorkers(bench.folder(), 1)
  await using two = await serveWorkers(bench.folder(), 2)
  const figures: Figure[] = []
  for (const load of LOADS) {
    bench.say(`${load.name} ...`)
    const run = (server: Serving) => costOf(server, load, ROUND[mode])
    await run(one)
    await run(two)
    const pairs: { one: number; two: number }[] = []
    for (let round = 0; round < ROUNDS[mode]; round += 1) {
      // ABBA order, so that neither side is always second.
      const isOneFirst = round % 2 === 0
      const first = await run(isOneFirst ? one : two)
      const second = await run(isOneFirst ? two : one)
      pairs.push(isOneFirst ? { one: first, two: second } : { one: second, two: first })
    }
    figures.push({
      name: load.name,
      note: load.note,
      keyturn: `${median(pairs.map((pair) => pair.two)).toFixed(3)} ms`,
      beside: `${median(pairs.map((pair) => pair.one)).toFixed(3)} ms`,
      value: median(pairs.map((pair) => pair.two / pair.one)),
      unit: 'ratio',
      ...(load.aim ? { aim: load.aim } : {}),
    })
  }
  return figures
}

/** @returns milliseconds of processor time per operation */
async function costOf({ port, pids }: Serving, load: Load, duration: number): Promise<number> {
  let before = 0
  let after = 0
  const around = {
    begin: async () => {
      before = processorTime(pids)
    },
    end: async () => {
      after = processorTime(pids)
    },
  }
  const { operations } = await runLoad({ port, prepare: load.prepare(port), duration, around })
  return (after - before) / operations
}

interface Serving extends AsyncDisposable {
  readonly port: number
  /** Ids of all processes of the server. */
  readonly pids: readonly number[]
}

/** Starts the real server and waits until all of its workers answer. */
async function serveWorkers(folder: string, count: number): Promise<Serving> {
  const ports = { http: await freePort(), management: await freePort() }
  const config = writeConfig(folder, { ports, workers: count })
  const { child, stop } = serve(config)
  try {
    const ids = await within(START_LIMIT, 'the workers', untilReady(ports.management, count))
    return { port: ports.http, pids: [child.pid ?? NaN, ...ids], [Symbol.asyncDispose]: stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** @returns the process ids of the workers; empty for a single process */
async function untilReady(port: number, count: number): Promise<readonly number[]> {
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${port}/health/ready`).catch(() => undefined)
    if (answer?.ok) {
      // The documented answer of the management listener.
      const { workers = [] } = (await answer.json()) as { workers?: { pid: number }[] }
      if (workers.length === (count === 1 ? 0 : count)) return workers.map(({ pid }) => pid)
    }
    await delay(POLL)
  }
}

/** Milliseconds that the processes have used so far, all threads, as Linux counts them. */
function processorTime(pids: readonly number[]): number {
  ticks ??= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))
  const used = pids.map((pid) => {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The 14th and 15th field of proc(5), counted after the name, which may contain anything.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return Number(fields[11]) + Number(fields[12])
  })
  return (used.reduce((sum, each) => sum + each, 0) / ticks) * 1000
}

/** In a second. */
let ticks: number | undefined
