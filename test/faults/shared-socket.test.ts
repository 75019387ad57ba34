import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { freePort } from '../../lab/free-port.ts'
import { killAtExit } from '../../lab/leftovers.ts'
import { holdSocket } from '../../lab/passed-socket.ts'
import { findProgram } from '../../lab/programs.ts'
import { API, SECRET, testSettings } from '../../lab/server.ts'
import { temporaryFolder } from '../../lab/temporary.ts'
import { type ServerProcess, spawnServer } from '../support/process.ts'
import { repeats } from '../support/repeats.ts'

/** Several servers on one port: each takes the socket that a supervisor passes to it. */

interface Replica {
  readonly server: ServerProcess
  readonly untilReady: () => Promise<void>
  readonly metric: (name: string) => Promise<number>
}

/** A folder with a configuration for each of two servers on one SQLite database. */
async function prepare({ shutdownDelay = '0s' } = {}) {
  const folder = await temporaryFolder()
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const socket = holdSocket(port)
  const ports = [await freePort(), await freePort()] as const
  for (const management of ports) {
    const settings = {
      issuer: url,
      http: { socketActivation: true, shutdownDelay },
      management: { port: management },
      log: { level: 'warn' },
    }
    await testSettings(folder.path, settings, '', `${management}.yaml`)
  }
  const servers: ServerProcess[] = []
  const start = (index: 0 | 1): Replica => {
    const management = ports[index]
    const server = spawnServer(join(folder.path, `${management}.yaml`), { socket: socket.fd })
    servers.push(server)
    return replica(server, `http://127.0.0.1:${management}`)
  }
  return {
    url,
    start,
    [Symbol.asyncDispose]: async () => {
      await Promise.all(servers.map((server) => server.stop('SIGKILL')))
      socket[Symbol.dispose]()
      await folder.remove()
    },
  }
}

function replica(server: ServerProcess, management: string): Replica {
  return {
    server,
    untilReady: () =>
      until(async () => {
        assert.equal(server.child.exitCode, null, server.output())
        const answer = await fetch(`${management}/health/ready`).catch(() => undefined)
        return answer?.ok === true
      }),
    metric: async (name) => {
      const text = await (await fetch(`${management}/metrics`)).text()
      const line = text.split('\n').find((each) => each.startsWith(name))
      return Number(line?.slice(line.lastIndexOf(' ')) ?? 0)
    },
  }
}

const ISSUED = 'keyturn_tokens_issued_total{kind="client_credentials_opaque"}'

/** Takes a token. @returns the status, or the code of the error of the connection */
async function takeToken(url: string, agent: Agent): Promise<string> {
  const sent = request(`${url}/token`, {
    agent,
    method: 'POST',
    headers: {
      authorization: `Basic ${btoa(`machine:${SECRET}`)}`,
      'content-type': 'application/x-www-form-urlencoded',
    },
  })
  return endOf(sent.end(`grant_type=client_credentials&scope=read&resource=${API}/opaque`))
}

async function endOf(sent: ClientRequest): Promise<string> {
  try {
    const [answer]: IncomingMessage[] = await once(sent, 'response')
    answer?.resume()
    if (answer) await once(answer, 'end')
    return String(answer?.statusCode)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error)
  }
}

/** Clients that take tokens one after another until they are told to stop. */
function load(url: string, clients: readonly Agent[]) {
  let isOver = false
  const outcomes = new Map<string, number>()
  const loops = clients.map(async (agent) => {
    while (!isOver) {
      const outcome = await takeToken(url, agent)
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    }
  })
  const answered = () => outcomes.get('200') ?? 0
  return {
    untilMore: (count: number) => {
      const before = answered()
      return until(async () => answered() >= before + count)
    },
    stop: async () => {
      isOver = true
      await Promise.all(loops)
      for (const agent of clients) agent.destroy()
      return Object.fromEntries(outcomes)
    },
  }
}

/** Looks again and again; a condition that never comes true is ended by the limit of the test. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20))
}

const oneByOne = () => new Agent({ keepAlive: false })
const kept = () => new Agent({ keepAlive: true, maxSockets: 1 })

describe('two servers on one socket', () => {
  it('that start at once on an empty database make everything once and share the requests', async () => {
    await using place = await prepare()
    const [one, two] = [place.start(0), place.start(1)]
    await Promise.all([one.untilReady(), two.untilReady()])
    const clients = load(place.url, Array.from({ length: 6 }, oneByOne))
    // Both have issued tokens.
    await until(async () =>
      (await Promise.all([one.metric(ISSUED), two.metric(ISSUED)])).every((count) => count > 0),
    )
    const outcomes = await clients.stop()
    const counts = await Promise.all([one.metric(ISSUED), two.metric(ISSUED)])
    assert.deepEqual(outcomes, { 200: counts[0] + counts[1] })
    const active = 'keyturn_keys{ring="sig/RS256",phase="active"}'
    assert.deepEqual([await one.metric(active), await two.metric(active)], [1, 1])
    const output = `${one.server.output()}${two.server.output()}`
    assert.equal(output.match(/Password {4}\S+\n/g)?.length, 1, output)
    assert.deepEqual([await one.server.stop(), await two.server.stop()], [0, 0])
  })

  it('fail no request while one of them is restarted again and again', async () => {
    // Time for clients that keep their connections to hear that they are to be closed.
    await using place = await prepare({ shutdownDelay: '1s' })
    const one = place.start(0)
    await one.untilReady()
    let two = place.start(1)
    await two.untilReady()
    const clients = [...Array.from({ length: 4 }, oneByOne), ...Array.from({ length: 4 }, kept)]
    const requests = load(place.url, clients)
    for (let restart = 0; restart < repeats(2, 20); restart++) {
      await requests.untilMore(20)
      assert.equal(await two.server.stop(), 0, two.server.output())
      two = place.start(1)
      await two.untilReady()
    }
    await requests.untilMore(20)
    const outcomes = await requests.stop()
    assert.deepEqual(Object.keys(outcomes), ['200'], JSON.stringify(outcomes))
  })

  it('lose of a server that is killed only what it was answering', async () => {
    await using place = await prepare()
    const one = place.start(0)
    await one.untilReady()
    const two = place.start(1)
    await two.untilReady()
    const requests = load(place.url, Array.from({ length: 4 }, oneByOne))
    await requests.untilMore(50)
    await two.server.stop('SIGKILL')
    await requests.untilMore(50)
    const { 200: _, ...lost } = await requests.stop()
    // Each of the four clients had at most one request with the server that was killed.
    const count = Object.values(lost).reduce((sum, each) => sum + each, 0)
    assert.ok(count <= 4, JSON.stringify(lost))
  })

  it('keep the requests that come while none of them runs', async () => {
    await using place = await prepare()
    const first = place.start(0)
    await first.untilReady()
    assert.equal(await first.server.stop(), 0)
    const waiting = fetch(`${place.url}/jwks`)
    const second = place.start(1)
    await second.untilReady()
    assert.equal((await waiting).status, 200)
  })
})

describe('a server that takes a passed socket', () => {
  it('refuses one in the file system, whose clients have no address', async () => {
    await using folder = await temporaryFolder()
    const other = createServer().listen(join(folder.path, 'socket'))
    await once(other, 'listening')
    // Undocumented, and the only way to the descriptor of a server.
    const { fd } = (other as unknown as { _handle: { fd: number } })._handle
    const settings = { http: { socketActivation: true }, log: { level: 'error' } }
    await testSettings(folder.path, settings)
    const server = spawnServer(join(folder.path, 'keyturn.yaml'), { socket: fd })
    assert.equal(await server.ended, 1, server.output())
    other.close()
    assert.match(server.output(), /what was passed is no TCP socket that listens/)
  })

  const activate = findProgram('systemd-socket-activate')
  const skip = activate ? false : 'systemd is not installed'
  it('takes that of systemd', { skip }, async () => {
    await using folder = await temporaryFolder()
    const port = await freePort()
    const url = `http://127.0.0.1:${port}`
    const settings = { issuer: url, http: { socketActivation: true }, log: { level: 'error' } }
    await testSettings(folder.path, settings)
    const cli = join(import.meta.dirname, '../../src/cli.ts')
    const config = join(folder.path, 'keyturn.yaml')
    const args = [`--listen=127.0.0.1:${port}`, process.execPath, cli, 'serve', '--config', config]
    // It becomes the server at the first connection.
    const child = spawn(activate ?? '', args, { stdio: ['ignore', 'ignore', 'pipe'] })
    killAtExit(child)
    const ended = once(child, 'exit')
    await once(child.stderr, 'data')
    assert.equal((await fetch(`${url}/jwks`)).status, 200)
    child.kill('SIGTERM')
    assert.deepEqual(await ended, [0, null])
  })
})
