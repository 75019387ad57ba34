import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { Agent, get, type IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { authorizationRequest, discoverAs } from '../../lab/relying-party.ts'
import { API, addPerson, freePort, PERSON, SECRET, testSettings } from '../../lab/server.ts'
import { temporaryFolder } from '../../lab/temporary.ts'
import { createUserAgent } from '../../lab/user-agent.ts'
import type { Readiness } from '../../src/server/readiness.ts'
import { spawnServer, untilReady } from '../support/process.ts'

/** Several processes on one port, each a real one. */

/** Enough for one hash to take a second: a request that is under way for a while. */
const SLOW_PASSWORDS = { argon2: { memoryKiB: 262_144, passes: 4, parallelism: 1 } }

interface Options {
  readonly workers?: number
  readonly shutdownDelay?: string
  readonly settings?: Readonly<Record<string, unknown>>
}

/** A server that answers, with all of its workers. */
async function serve({ workers = 2, shutdownDelay = '0s', settings = {} }: Options = {}) {
  const folder = await temporaryFolder()
  const ports = { http: await freePort(), management: await freePort() }
  const issuer = `http://localhost:${ports.http}`
  const config = await testSettings(folder.path, {
    issuer,
    http: { port: ports.http, host: 'localhost', workers, shutdownDelay },
    management: { port: ports.management },
    log: { level: 'info' },
    ...settings,
  })
  // It opens the stores in this process, which is not the one that is to fail.
  if (!settings.keyStore) await addPerson(config)
  const server = spawnServer(join(folder.path, 'keyturn.yaml'))
  const url = `http://127.0.0.1:${ports.management}`

  const readiness = async () => {
    const answer = await fetch(`${url}/health/ready`)
    // What the management listener says it answers.
    return { status: answer.status, ...((await answer.json()) as Readiness) }
  }
  const until = async (condition: () => Promise<boolean>) => {
    for (let i = 0; i < 400; i++) {
      if (await condition().catch(() => false)) return
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    assert.fail(server.output())
  }
  const pids = async () => ((await readiness()).workers ?? []).map(({ pid }) => pid)
  const untilAllRun = () =>
    until(async () => {
      const { status, workers: running = [] } = await readiness()
      return status === 200 && (workers === 1 || running.length === workers)
    })
  const stopAndRemove = async () => {
    await server.stop('SIGKILL')
    await folder.remove()
  }
  try {
    await untilReady(server, config)
    await untilAllRun()
  } catch (error) {
    await stopAndRemove()
    throw error
  }
  const metric = async (name: string) => {
    const text = await (await fetch(`${url}/metrics`)).text()
    const line = text.split('\n').find((each) => each.startsWith(name))
    return Number(line?.slice(line.lastIndexOf(' ')))
  }
  return {
    config,
    folder: folder.path,
    server,
    readiness,
    pids,
    metric,
    until,
    untilAllRun,
    [Symbol.asyncDispose]: stopAndRemove,
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** A connection of its own, kept alive. */
async function open(port: number): Promise<{ socket: Socket; ask(): Promise<string> }> {
  const socket = connect({ port, host: 'localhost' }).setEncoding('latin1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  return {
    socket,
    ask: async () => {
      socket.write('HEAD /jwks HTTP/1.1\r\nhost: localhost\r\n\r\n')
      const [head] = await once(socket, 'data', { signal: AbortSignal.timeout(10_000) })
      return head
    },
  }
}

async function takeToken(issuer: string): Promise<string> {
  const answer = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa(`machine:${SECRET}`)}`, connection: 'close' },
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      resource: `${API}/opaque`,
      scope: 'read',
    }),
  })
  assert.equal(answer.status, 200)
  // The token endpoint's answer (RFC 6749, section 5.1).
  return ((await answer.json()) as { access_token: string }).access_token
}

describe('two workers', () => {
  it('share the connections; SIGKILL of one breaks its own only, and it is replaced', async () => {
    await using keyturn = await serve()
    const { port } = keyturn.config.http
    const before = await keyturn.pids()
    assert.equal(new Set(before).size, 2)
    const connections: Awaited<ReturnType<typeof open>>[] = []
    for (let i = 0; i < 6; i++) connections.push(await open(port))
    for (const { ask } of connections) assert.match(await ask(), /^HTTP\/1.1 200/)

    const [killed = 0, other = 0] = before
    process.kill(killed, 'SIGKILL')
    await keyturn.untilAllRun()
    await keyturn.until(async () => connections.some(({ socket }) => socket.destroyed))
    const left = connections.filter(({ socket }) => !socket.destroyed)
    assert.ok(left.length > 0, 'the other worker had none')
    for (const { ask, socket } of left) {
      assert.match(await ask(), /^HTTP\/1.1 200/)
      socket.destroy()
    }
    const after = await keyturn.pids()
    assert.ok(after.includes(other) && !after.includes(killed) && after.length === 2)
    assert.match(keyturn.server.output(), /"pid":\d+,"reason":"it was ended by SIGKILL"/)
    // As `keyturn nodes list` names them.
    for (const worker of [1, 2, 3]) {
      assert.match(keyturn.server.output(), new RegExp(`"node":"[^"]+-w${worker}-[0-9a-f]{6}"`))
    }
    assert.equal(await keyturn.metric('keyturn_worker_deaths_total'), 1)
    assert.equal(await keyturn.server.stop(), 0, keyturn.server.output())
  })

  it('lose no request while one after the other is killed, but those it was answering', async () => {
    await using keyturn = await serve()
    const { issuer } = keyturn.config
    let isOver = false
    const counts = { answered: 0, lost: 0 }
    const clients = Array.from({ length: 4 }, async () => {
      while (!isOver) {
        await takeToken(issuer).then(
          () => counts.answered++,
          () => counts.lost++,
        )
      }
    })
    for (let kill = 0; kill < 3; kill++) {
      const answered = counts.answered
      await keyturn.until(async () => counts.answered > answered + 50)
      const [oldest = 0] = await keyturn.pids()
      process.kill(oldest, 'SIGKILL')
      await keyturn.until(async () => !(await keyturn.pids()).includes(oldest))
      await keyturn.untilAllRun()
    }
    isOver = true
    await Promise.all(clients)
    // At most one request of each client was with the worker that was killed.
    assert.ok(counts.lost <= 12, JSON.stringify(counts))
  })

  it('are counted as one server, which goes on counting when one of them is gone', async () => {
    await using keyturn = await serve()
    const counted = () =>
      keyturn.metric('keyturn_tokens_issued_total{kind="client_credentials_opaque"}')
    for (let i = 0; i < 10; i++) await takeToken(keyturn.config.issuer)
    assert.equal(await counted(), 10)
    assert.equal(await keyturn.metric('keyturn_keys{ring="sig/RS256",phase="active"}'), 1)
    assert.equal(await keyturn.metric('keyturn_may_sign'), 1)
    const [first = 0] = await keyturn.pids()
    process.kill(first, 'SIGKILL')
    await keyturn.until(async () => !(await keyturn.pids()).includes(first))
    await keyturn.untilAllRun()
    assert.equal(await counted(), 10)
    for (let i = 0; i < 4; i++) await takeToken(keyturn.config.issuer)
    assert.equal(await counted(), 14)
  })

  it('end with their primary, however that ends', async () => {
    await using keyturn = await serve()
    const pids = await keyturn.pids()
    assert.equal(await keyturn.server.stop('SIGKILL'), 'SIGKILL')
    await keyturn.until(async () => !pids.some(isAlive))
  })

  it('that take no requests, as one does not answer its primary, are not ready', async () => {
    await using keyturn = await serve()
    const [first = 0] = await keyturn.pids()
    process.kill(first, 'SIGSTOP')
    const { status, workers = [] } = await keyturn.readiness()
    assert.equal(status, 503)
    assert.deepEqual(
      workers.map(({ pid, ok }) => [pid === first, ok]),
      [
        [true, false],
        [false, true],
      ],
    )
    process.kill(first, 'SIGCONT')
    await keyturn.untilAllRun()
  })
})

/** Keys in files; a file, never absent, says whether this machine's processes are to fail, and how. */
const FAILING_STORE = (folder: string) => `
import { readFileSync } from 'node:fs'
import { createFileKeyStore } from ${JSON.stringify(new URL('../../src/ring/file-key-store.ts', import.meta.url).href)}
const order = ${JSON.stringify(join(folder, 'order'))}
const read = () => readFileSync(order, 'utf8')
setInterval(() => { if (read() === 'die') process.exit(3) }, 20).unref()
export function createKeyStore() {
  if (read() === 'refuse') throw new Error('the keys are on another machine')
  return createFileKeyStore(${JSON.stringify(join(folder, 'ring'))})
}
`

describe('workers that fail', () => {
  async function serveFailing() {
    const folder = await temporaryFolder()
    const module = join(folder.path, 'store.mjs')
    await writeFile(module, FAILING_STORE(folder.path))
    const order = (text: string) => writeFile(join(folder.path, 'order'), text)
    await order('none')
    const keyturn = await serve({ settings: { keyStore: { type: 'module', module } } })
    return {
      ...keyturn,
      order,
      [Symbol.asyncDispose]: async () => {
        await keyturn[Symbol.asyncDispose]()
        await folder.remove()
      },
    }
  }

  it('again and again stop the server with the reason', async () => {
    await using keyturn = await serveFailing()
    await keyturn.order('die')
    assert.equal(await keyturn.server.ended, 1)
    const output = keyturn.server.output()
    assert.match(
      output,
      /\n\d+ workers died within 60 s. The last one: it ended with exit status 3\n/,
    )
    assert.ok((output.match(/a worker died; it is replaced/g)?.length ?? 0) >= 4)
    await assert.rejects(fetch(`${keyturn.config.issuer}/jwks`), 'it still listens')
  })

  it('to start say why, and the others go on; the server stops when none is left', async () => {
    await using keyturn = await serveFailing()
    await keyturn.order('refuse')
    const [first = 0, second = 0] = await keyturn.pids()
    process.kill(first, 'SIGKILL')
    await keyturn.until(async () => {
      const { checks, ok, degraded } = await keyturn.readiness()
      return checks.workers?.detail === '1 of 2 run' && ok && degraded === true
    })
    assert.ok(isAlive(second))
    const deaths = () =>
      keyturn.server.output().match(/a worker died; it is replaced/g)?.length ?? 0
    await keyturn.until(async () => deaths() >= 6)
    assert.equal((await fetch(`${keyturn.config.issuer}/jwks`)).status, 200)
    process.kill(second, 'SIGKILL')
    assert.equal(await keyturn.server.ended, 1)
    assert.match(
      keyturn.server.output(),
      /\n\d+ workers died within 60 s. The last one: it was ended by SIGKILL/,
    )
    assert.ok(!isAlive(second))
  })

  it('for a moment only are replaced and the server is whole again', async () => {
    await using keyturn = await serveFailing()
    const before = await keyturn.pids()
    await keyturn.order('refuse')
    process.kill(before[0] ?? 0, 'SIGKILL')
    await keyturn.until(async () => keyturn.server.output().includes('on another machine'))
    await keyturn.order('none')
    await keyturn.untilAllRun()
    assert.ok((await keyturn.pids()).includes(before[1] ?? 0))
    assert.equal(await keyturn.server.stop(), 0)
  })
})

describe('a server that is told to stop', () => {
  for (const workers of [1, 2]) {
    it(`with ${workers} worker(s) is not ready, answers on, lets requests finish and ends`, async () => {
      await using keyturn = await serve({
        workers,
        shutdownDelay: '3s',
        settings: { password: SLOW_PASSWORDS },
      })
      const { issuer } = keyturn.config
      const rp = await discoverAs(issuer, 'web')
      const { url } = await authorizationRequest(rp)
      const browser = createUserAgent()
      const { url: page } = await browser.open(url, issuer)
      using agent = keptAlive()
      assert.equal((await agent.get(`${issuer}/jwks`)).headers.connection, 'keep-alive')

      const stopped = keyturn.server.stop('SIGTERM')
      // Ctrl-C in a terminal and some supervisors signal every process.
      for (const pid of await keyturn.pids().catch(() => [])) process.kill(pid, 'SIGTERM')
      await keyturn.until(async () => (await keyturn.readiness()).status === 503)
      const answer = await agent.get(`${issuer}/jwks`)
      assert.equal(answer.statusCode, 200)
      assert.equal(answer.headers.connection, 'close')

      const posted = await browser.request(page, {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded', origin: issuer },
        body: new URLSearchParams({ ...PERSON, action: 'sign-in' }),
      })
      assert.equal(posted.status, 303)
      assert.equal(await stopped, 0, keyturn.server.output())
      await assert.rejects(fetch(`${issuer}/jwks`), 'it still listens')
    })
  }

  it('with two workers finishes a sign-in that is under way, whichever of them has it', async () => {
    await using keyturn = await serve({ settings: { password: SLOW_PASSWORDS } })
    const { issuer } = keyturn.config
    const rp = await discoverAs(issuer, 'web')
    const sent = await Promise.all(
      Array.from({ length: 2 }, async () => {
        const browser = createUserAgent()
        const { url: page } = await browser.open((await authorizationRequest(rp)).url, issuer)
        return browser.request(page, {
          method: 'POST',
          headers: {
            'content-type': 'application/x-www-form-urlencoded',
            origin: issuer,
            connection: 'close',
          },
          body: new URLSearchParams({ ...PERSON, action: 'sign-in' }),
        })
      }).map(async (posted) => {
        // Each password is being hashed when the signal comes.
        const pause = new Promise((resolve) => setTimeout(resolve, 200, 'no answer yet'))
        return { posted, early: await Promise.race([posted, pause]) }
      }),
    )
    for (const { early } of sent) assert.equal(early, 'no answer yet')
    const stopped = keyturn.server.stop('SIGINT')
    for (const { posted } of sent) assert.equal((await posted).status, 303)
    assert.equal(await stopped, 0, keyturn.server.output())
  })
})

/** A client with one connection that it keeps. */
function keptAlive() {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  return {
    get: async (url: string): Promise<IncomingMessage> => {
      const [answer] = await once(get(url, { agent }), 'response')
      answer.resume()
      await once(answer, 'end')
      return answer
    },
    [Symbol.dispose]: () => agent.destroy(),
  }
}
