import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { startTestServer } from '../../lab/server.ts'
import { hostName } from '../../src/http/allowed-hosts.ts'
import { type Listener, listen } from '../../src/http/listener.ts'
import { createManagementApp, managementHosts } from '../../src/http/management.ts'
import { LISTENER_LIMITS } from '../support/limits.ts'
import { sendBytes } from '../support/raw.ts'

let listener: Listener
before(async () => {
  const app = createManagementApp({
    readiness: async () => ({ ok: true, checks: {} }),
    registry: () => new Registry(),
    hosts: managementHosts({ host: 'ops.example', hosts: ['keyturn', 'metrics.internal'] }),
    log: pino({ level: 'silent' }),
  })
  listener = await listen(app.callback(), { host: '127.0.0.1', port: 0, limits: LISTENER_LIMITS })
})
after(() => listener.close(1))

/** The status of a request with these header lines, whatever they are. */
async function statusFor(...lines: string[]): Promise<number> {
  const head = ['GET /metrics HTTP/1.1', ...lines, 'Connection: close', '', '']
  return (await sendBytes(listener.url, head.join('\r\n'))).status
}

describe('the management listener', () => {
  it('logs what fails, but not that a client went away', async (test) => {
    const lines: string[] = []
    const printed = test.mock.method(console, 'error', () => {})
    const failing = new Registry()
    failing.metrics = () => Promise.reject(new Error('no metrics'))
    let registry = new Registry()
    const app = createManagementApp({
      readiness: async () => ({ ok: true, checks: {} }),
      registry: () => registry,
      log: pino({}, { write: (line: string) => void lines.push(line) }),
    })
    const own = await listen(app.callback(), {
      ...{ host: '127.0.0.1', port: 0, limits: LISTENER_LIMITS },
    })
    test.after(() => own.close(0))
    const { port } = new URL(own.url)
    for (let client = 0; client < 20; client++) {
      const socket = connect(Number(port), '127.0.0.1')
      socket.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(4))
      await once(socket, 'connect')
      await new Promise(setImmediate)
      socket.resetAndDestroy()
    }
    while (own.connections > 0) await new Promise(setImmediate)
    assert.deepEqual(lines, [])
    registry = failing
    assert.equal((await fetch(`${own.url}/metrics`)).status, 500)
    assert.equal(lines.length, 1)
    assert.match(lines[0] ?? '', /"msg":"a request of an operator failed"/)
    assert.equal(printed.mock.callCount(), 0)
  })

  const answered = [
    'localhost',
    'localhost:9090',
    'LOCALHOST.:9090',
    '127.0.0.1',
    '10.1.2.3:9090',
    '[::1]:9090',
    '[2001:DB8::1]',
    'keyturn',
    'Keyturn:9090',
    'keyturn.:1',
    'metrics.internal',
    'ops.example:9090',
  ]
  for (const host of answered) {
    it(`answers who asks for ${host}`, async () => {
      assert.equal(await statusFor(`Host: ${host}`), 200)
    })
  }

  const refused = [
    'evil.example',
    'evil.example:9090',
    'localhost.evil.example',
    'evil.localhost',
    'keyturn.evil.example',
    '127.0.0.1.evil.example',
    '127.1',
    '2130706433',
    'xn--keytur-9qa',
  ]
  for (const host of refused) {
    it(`answers 421 to who asks for ${host}`, async () => {
      assert.equal(await statusFor(`Host: ${host}`), 421)
    })
  }

  it('says what to set, shows nothing else, and does not repeat the name', async () => {
    for (const path of ['/metrics', '/health/live', '/health/ready', '/']) {
      const bytes = `GET ${path} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n`
      const { status, body, headers } = await sendBytes(listener.url, bytes)
      assert.equal(status, 421)
      assert.match(body, /management\.hosts/)
      assert.doesNotMatch(body, /evil/)
      assert.match(headers['content-type'] ?? '', /^text\/plain/)
    }
  })

  it('refuses hosts that could be read in two ways', async () => {
    assert.equal(await statusFor('Host: localhost', 'Host: evil.example'), 400)
    assert.equal(await statusFor('Host: evil.example', 'Host: localhost'), 400)
    assert.equal(await statusFor('Host: evil.example@localhost'), 400)
    assert.equal(await statusFor('Host: evil.example, localhost'), 400)
    assert.equal(await statusFor('Host: localhost:80:80'), 400)
    assert.equal(await statusFor('Host:'), 421)
    assert.equal(await statusFor(), 400)
  })

  it('answers probes of HTTP/1.0, which name no host', async () => {
    const { status } = await sendBytes(listener.url, 'GET /health/live HTTP/1.0\r\n\r\n')
    assert.equal(status, 200)
  })
})

describe('the host of a request', () => {
  it('is a name in small letters or an address, without port', () => {
    assert.equal(hostName('Keyturn.Example.:9090'), 'keyturn.example')
    assert.equal(hostName('[::1]:9090'), '[::1]')
    for (const odd of ['', ':9090', 'a:b', 'a:1:2', '[::1', '::1', 'a]', 'a:999999'])
      assert.equal(hostName(odd), undefined, odd)
  })
})

describe('management.hosts', () => {
  async function statusOf(url: string, host: string) {
    const bytes = `GET /health/live HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`
    return (await sendBytes(url, bytes)).status
  }

  it('names hosts in addition to addresses, of a server of one process', async () => {
    const management = { port: 0, hosts: ['prometheus-name'] }
    await using keyturn = await startTestServer({ settings: { management } })
    const url = keyturn.server.managementUrl
    assert.equal(await statusOf(url, 'prometheus-name:9090'), 200)
    assert.equal(await statusOf(url, 'evil.example'), 421)
  })
})
