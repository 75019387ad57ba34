import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import Sqlite from 'better-sqlite3-napi'
import type { OneIssuerConfig } from '../../lab/one-issuer.ts'
import { SECRET, testSettings } from '../../lab/server.ts'
import { temporaryFolder } from '../../lab/temporary.ts'
import { type ServerProcess, spawnServer, untilReady } from '../support/process.ts'
import { rawRequest } from '../support/raw.ts'

/** Clients that ask for more than they could ever use: others are served all the same. */

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let config: OneIssuerConfig
let server: ServerProcess
before(async () => {
  folder = await temporaryFolder()
  config = await testSettings(folder.path)
  server = spawnServer(join(folder.path, 'keyturn.yaml'))
  await untilReady(server, config)
})
after(async () => {
  await server.stop()
  await folder.remove()
})

/** The value of a metric, by its name and labels. */
async function metric(name: string): Promise<number> {
  const management = /Health +(http:\/\/[^/]+)/.exec(server.output())?.[1]
  const text = await (await fetch(`${management}/metrics`)).text()
  const line = text.split('\n').find((line) => line.startsWith(`${name} `)) ?? ''
  return Number(line.slice(name.length + 1) || 0)
}

/** MB of memory that the server has. */
function memory(): number {
  const status = readFileSync(`/proc/${server.child.pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024
}

/** Connections that send the same bytes and never read. */
async function flood(connections: number, bytes: string): Promise<Socket[]> {
  const { port, hostname } = new URL(config.issuer)
  const data = Buffer.from(bytes)
  const sockets = Array.from({ length: connections }, () => connect(Number(port), hostname))
  for (const socket of sockets) socket.on('error', () => {}).pause()
  await Promise.all(sockets.map((socket) => once(socket, 'connect')))
  for (const socket of sockets) socket.write(data)
  return sockets
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise(setImmediate)
}

/** Asks for the JWKS until a limit has closed so many connections. @returns most memory, in MB */
async function untilClosed(bound: string, connections: number): Promise<number> {
  let most = memory()
  await until(async () => {
    const jwks = await fetch(`${config.issuer}/jwks`)
    assert.equal(jwks.status, 200)
    await jwks.text()
    most = Math.max(most, memory())
    return (await metric(bound)) >= connections
  })
  return most
}

const token = () =>
  fetch(`${config.issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa(`machine:${SECRET}`)}` },
    body: new URLSearchParams({ grant_type: 'client_credentials' }),
  })

/** What is stored, by model: how many, and when the last of them ends. */
function stored(model: string): { count: number; lastAt: number } {
  const database = new Sqlite(join(folder.path, 'keyturn.db'), { readonly: true })
  try {
    const query =
      'SELECT count(*) AS count, max(expires_at) AS lastAt FROM artifact WHERE model = ?'
    // A count has one row, always.
    return database.prepare(query).get(model) as { count: number; lastAt: number }
  } finally {
    database.close()
  }
}

describe('200 connections that each send 1,800 requests and read nothing, and 200 after them', () => {
  it('are closed, while the JWKS and tokens are there, in less than 100 MB', async (test) => {
    if (process.platform !== 'linux') return test.skip('memory is read from /proc')
    const bound = 'keyturn_connections_closed_total{bound="requestsPerConnection"}'
    assert.equal((await token()).status, 200)
    const usual = memory()
    const head = `GET /session/end HTTP/1.1\r\nHost: localhost\r\n\r\n`
    const sockets = await flood(200, head.repeat(1800))
    const first = await untilClosed(bound, 200)
    assert.equal(await metric(bound), 200)
    sockets.push(...(await flood(200, head.repeat(1800))))
    const most = Math.max(first, await untilClosed(bound, 400))
    assert.equal(await metric(bound), 400)
    await until(async () => (await metric('keyturn_requests_in_flight')) === 0)
    assert.ok(most - usual < 100, `grew from ${usual} to ${most} MB`)
    assert.equal((await token()).status, 200)
    for (const socket of sockets) socket.destroy()
  })
})

describe('100 connections that send the content of a form in chunks of one byte', () => {
  it('are closed, while the JWKS and tokens are there, in less than 200 MB', async (test) => {
    if (process.platform !== 'linux') return test.skip('memory is read from /proc')
    const bound = 'keyturn_connections_closed_total{bound="chunks"}'
    const usual = memory()
    const head =
      'POST /token HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n' +
      'Content-Type: application/x-www-form-urlencoded\r\n\r\n'
    const sockets = await flood(100, `${head}${'1\r\na\r\n'.repeat(50_000)}0\r\n\r\n`)
    const most = await untilClosed(bound, 100)
    // Without the limit it is a gigabyte and more. Node makes a buffer of each chunk that it has read.
    assert.ok(most - usual < 200, `grew from ${usual} to ${most} MB`)
    assert.equal((await token()).status, 200)
    for (const socket of sockets) socket.destroy()
  })
})

describe('clients that never send what they announced', () => {
  it('keep nobody else from being served', async () => {
    const more = config.http.limits.requests + 50
    const head =
      'POST /token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n' +
      'Content-Type: application/x-www-form-urlencoded\r\n\r\ngrant_type='
    const sockets = await flood(more, head)
    await until(async () => (await metric('keyturn_connections')) >= more)
    assert.equal((await token()).status, 200)
    for (const socket of sockets) socket.destroy()
    await until(async () => (await metric('keyturn_connections')) < more)
  })
})

describe('what anybody can have stored', () => {
  const tooLong = 'x'.repeat(5000)

  it('sessions of nobody do not live as those of people do', async () => {
    for (const path of ['/session/end', '/device', '/device?user_code=AAAA-BBBB']) {
      await Promise.all(Array.from({ length: 50 }, () => rawRequest(config.issuer, path)))
    }
    const longest = stored('Session').lastAt - Math.floor(Date.now() / 1000)
    assert.ok(longest <= config.tokens.interaction, `${longest} s`)
  })

  it('parameters that are too long are refused before, in a query and in a form', async () => {
    const before = ['Session', 'Interaction', 'PushedAuthorizationRequest', 'DeviceCode'].map(
      stored,
    )
    const redirect_uri = 'http://localhost:9999/callback'
    const authorization = { client_id: 'web', response_type: 'code', scope: 'openid', redirect_uri }
    const fields = new URLSearchParams({ ...authorization, state: tooLong }).toString()
    const headers = { 'Content-Type': 'application/x-www-form-urlencoded' }
    for (const path of ['/auth', '/session/end', '/device', '/interaction/x', '/userinfo']) {
      const answer = await rawRequest(config.issuer, `${path}?${fields}`)
      assert.equal(answer.status, 400, path)
      const { error, error_description } = JSON.parse(answer.body)
      assert.equal(error, 'invalid_request')
      assert.match(error_description, /state is longer than 4096 characters/)
      const page = { headers: { Accept: 'text/html' } }
      const shown = await rawRequest(config.issuer, `${path}?${fields}`, page)
      assert.equal(shown.status, 400)
      assert.match(shown.body, /state is longer than 4096 characters/)
    }
    for (const path of ['/token', '/request', '/device/auth', '/device', '/session/end/confirm']) {
      const form = { method: 'POST', headers, body: fields }
      const answer = await rawRequest(config.issuer, path, form)
      assert.equal(answer.status, 400, path)
      assert.match(JSON.parse(answer.body).error_description, /state is longer/)
    }
    assert.deepEqual(
      ['Session', 'Interaction', 'PushedAuthorizationRequest', 'DeviceCode'].map(stored),
      before,
    )
  })
})
