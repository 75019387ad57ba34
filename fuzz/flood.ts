import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { Command } from 'commander'
import { countArgument } from '../src/cli/words.ts'
import { startFuzzedServer } from './server.ts'

/**
 * `npm run flood`: clients that each send 1,800 requests at once, read nothing, and reconnect when
 * they are disconnected. Measures meanwhile the latency of the JWKS, for which an RP waits half a
 * second, and the memory.
 */

const REQUESTS = 1800
const HEAD = 'GET /session/end HTTP/1.1\r\nHost: localhost\r\n\r\n'

const program = new Command('flood')
  .description('Clients that send and never read, while the JWKS is asked for')
  .option('--connections <count>', 'at once', countArgument, 200)
  .option('--seconds <count>', 'how long they come again', countArgument, 20)
  .parse()
const { connections, seconds } = program.opts<{ connections: number; seconds: number }>()

await using server = await startFuzzedServer({ log: { level: 'info', format: 'json' } })
const { issuer } = server.config
const { port, hostname } = new URL(issuer)
const mb = (bytes: number) => Math.round(bytes / 2 ** 20)
const memory = () => {
  const status = readFileSync(`/proc/${server.child.pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024
}

const times: number[] = []
/** Asks for the JWKS, one after another. */
async function probe(until: () => boolean): Promise<void> {
  while (!until()) {
    const startedAt = performance.now()
    const answer = await fetch(`${issuer}/jwks`)
    await answer.arrayBuffer()
    if (answer.status !== 200) throw new Error(`the JWKS answered ${answer.status}`)
    times.push(performance.now() - startedAt)
    await delay(5)
  }
}

let isOver = false
let opened = 0
const open = new Set<Socket>()
const bytes = Buffer.from(HEAD.repeat(REQUESTS))
function attack(): void {
  const socket = connect(Number(port), hostname, () => socket.write(bytes))
  opened += 1
  open.add(socket)
  // The socket is never read; only a failing write shows that the other end closed it.
  socket.pause()
  const nudge = setInterval(() => socket.write(HEAD), 100)
  socket.on('error', () => {})
  socket.once('close', () => {
    clearInterval(nudge)
    open.delete(socket)
    if (!isOver) attack()
  })
}

let warmed = 0
await probe(() => warmed++ > 200)
const before = { memory: memory(), heap: await server.heapUsed() }
times.length = 0
let most = before.memory
const watch = setInterval(() => {
  most = Math.max(most, memory())
}, 20)
for (let index = 0; index < connections; index++) attack()
const end = performance.now() + seconds * 1000
await probe(() => performance.now() > end)
isOver = true
for (const socket of open) socket.destroy()
clearInterval(watch)
// Wait until requests under way have ended and their connections are closed.
await delay(4000)
const heap = await server.heapUsed()
times.sort((a, b) => a - b)
const at = (part: number) => `${(times[Math.floor(times.length * part)] ?? NaN).toFixed(1)} ms`
process.stdout.write(
  [
    `${connections} connections at once, ${opened} in ${seconds} s, ${REQUESTS} requests each`,
    `JWKS    ${times.length} answers; median ${at(0.5)}, 99 % ${at(0.99)}, slowest ${at(0.99999)}`,
    `memory  ${mb(before.memory)} MB before, ${mb(most)} MB at most`,
    `heap    ${mb(before.heap)} MB before, ${mb(heap)} MB afterwards, both after a collection`,
    '',
  ].join('\n'),
)
