import { type ChildProcess, execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from '../lab/free-port.ts'
import { holdSocket } from '../lab/passed-socket.ts'
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
    name: '2 on one socket, RS256 JWT',
    note: 'processor time of a client-credentials request, beside one process',
    aim: { bound: 'most', value: 1.1 },
    prepare: () => clientCredentials({ resource: RESOURCES.RS256 }),
  },
  {
    name: '2 on one socket, opaque',
    note: 'the same with a token stored in SQLite, which two processes write',
    prepare: () => clientCredentials({}),
  },
  {
    name: '2 on one socket, RS256 JWT, new connections',
    note: 'the same with a connection for each request, which either process takes',
    prepare: (port) => async () => async () => {
      const connection = await openConnection(port)
      await requestTokens(connection, REQUEST)
      connection.close()
    },
  },
]

const REQUEST = tokenRequest({ grant_type: 'client_credentials', resource: RESOURCES.RS256 })

/**
 * Compares the processor time of a request at two processes on one socket with that of one process,
 * in turns. Requests per second would say little on a small machine, because one process already
 * signs on every core.
 */
export const sharedSocket: Measure = async (bench) => {
  const mode = bench.isQuick ? 'quick' : 'full'
  await using one = await serveOne(bench.folder())
  await using two = await serveTwo(bench.folder())
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

async function serveOne(folder: string): Promise<Serving> {
  const ports = { http: await freePort(), management: await freePort() }
  const server = serve(writeConfig(folder, { ports }))
  try {
    await within(START_LIMIT, 'the server', untilReady(ports.management))
  } catch (error) {
    await server.stop()
    throw error
  }
  return { port: ports.http, pids: [pidOf(server)], [Symbol.asyncDispose]: server.stop }
}

/** Two servers on one database and one socket, which is held by this process. */
async function serveTwo(folder: string): Promise<Serving> {
  const http = await freePort()
  const opened = new AsyncDisposableStack()
  const pids: number[] = []
  try {
    const { fd: socket } = opened.use(holdSocket(http))
    for (const name of ['one', 'two']) {
      const management = await freePort()
      const ports = { http, management }
      const server = serve(writeConfig(folder, { ports, name, socketActivation: true }), { socket })
      opened.defer(server.stop)
      pids.push(pidOf(server))
      await within(START_LIMIT, `server ${name}`, untilReady(management))
    }
  } catch (error) {
    await opened.disposeAsync()
    throw error
  }
  return { port: http, pids, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

function pidOf({ child: { pid } }: { readonly child: ChildProcess }): number {
  if (pid === undefined) throw new Error('the server could not be started')
  return pid
}

async function untilReady(port: number): Promise<void> {
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${port}/health/ready`).catch(() => undefined)
    if (answer?.ok) return
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
