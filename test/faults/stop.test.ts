import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, get, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { freePort } from '../../lab/free-port.ts'
import { authorizationRequest, discoverAs } from '../../lab/relying-party.ts'
import { addPerson, PERSON, testSettings } from '../../lab/server.ts'
import { temporaryFolder } from '../../lab/temporary.ts'
import { createUserAgent } from '../../lab/user-agent.ts'
import { spawnServer, untilReady } from '../support/process.ts'
import { until } from '../support/redis.ts'

/** A real server in a process of its own, at its end. */

/** Enough for one hash to take some tenths of a second: a request that is under way for a while. */
const SLOW_PASSWORDS = { argon2: { memoryKiB: 131_072, passes: 3, parallelism: 1 } }

/** A server that answers. */
async function serve({ shutdownDelay = '0s' } = {}) {
  const folder = await temporaryFolder()
  const ports = { http: await freePort(), management: await freePort() }
  const config = await testSettings(folder.path, {
    issuer: `http://localhost:${ports.http}`,
    http: { port: ports.http, host: 'localhost', shutdownDelay },
    management: { port: ports.management },
    log: { level: 'info' },
    password: SLOW_PASSWORDS,
  })
  await addPerson(config)
  const server = spawnServer(join(folder.path, 'keyturn.yaml'))
  const stopAndRemove = async () => {
    await server.stop('SIGKILL')
    await folder.remove()
  }
  try {
    await untilReady(server, config)
  } catch (error) {
    await stopAndRemove()
    throw error
  }
  const management = `http://127.0.0.1:${ports.management}`
  return {
    issuer: config.issuer,
    server,
    readiness: () => fetch(`${management}/health/ready`),
    metrics: async () => (await fetch(`${management}/metrics`)).text(),
    [Symbol.asyncDispose]: stopAndRemove,
  }
}

describe('a server that is told to stop', () => {
  it('is not ready, answers on, lets requests finish and ends', async () => {
    await using keyturn = await serve({ shutdownDelay: '3s' })
    const { issuer } = keyturn
    const { browser, page } = await openSignIn(issuer)
    using agent = keptAlive()
    assert.equal((await agent.get(`${issuer}/jwks`)).headers.connection, 'keep-alive')

    const stopped = keyturn.server.stop('SIGTERM')
    await until('it is not ready', async () => (await keyturn.readiness()).status === 503)
    const answer = await agent.get(`${issuer}/jwks`)
    assert.equal(answer.statusCode, 200)
    assert.equal(answer.headers.connection, 'close')

    assert.equal((await browser.request(page, signIn(issuer))).status, 303)
    assert.equal(await stopped, 0, keyturn.server.output())
    await assert.rejects(fetch(`${issuer}/jwks`), 'it still listens')
  })

  it('finishes sign-ins that are under way', async () => {
    await using keyturn = await serve()
    const { issuer } = keyturn
    const opened = await Promise.all([openSignIn(issuer), openSignIn(issuer)])
    const sent = opened.map(({ browser, page }) => browser.request(page, signIn(issuer)))
    await until('both passwords are being hashed', async () =>
      /^keyturn_requests_in_flight 2$/m.test(await keyturn.metrics()),
    )
    const stopped = keyturn.server.stop('SIGINT')
    for (const posted of sent) assert.equal((await posted).status, 303)
    assert.equal(await stopped, 0, keyturn.server.output())
  })
})

async function openSignIn(issuer: string) {
  const browser = createUserAgent()
  const { url } = await authorizationRequest(await discoverAs(issuer, 'web'))
  const { url: page } = await browser.open(url, issuer)
  return { browser, page }
}

function signIn(issuer: string) {
  return {
    method: 'POST',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      origin: issuer,
      connection: 'close',
    },
    body: new URLSearchParams({ ...PERSON, action: 'sign-in' }),
  }
}

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
