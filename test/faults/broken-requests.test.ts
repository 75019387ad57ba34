import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, before, describe, it } from 'node:test'
import type { OneIssuerConfig } from '../../lab/one-issuer.ts'
import { testSettings } from '../../lab/server.ts'
import { temporaryFolder } from '../../lab/temporary.ts'
import { type ServerProcess, spawnServer, untilReady } from '../support/process.ts'
import { rawRequest, sendBytes } from '../support/raw.ts'

/** What clients do wrong is no error of this server, and shows nothing of what they sent. */

const SECRETS = {
  authorization: 'c2VjcmV0LW9mLXRoZS10ZXN0',
  cookie: 'cookie-of-the-test-0123456789',
  password: 'password-of-the-test-0123456789',
  token: 'refresh-token-of-the-test-0123456789',
}
const FORM = 'application/x-www-form-urlencoded'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let config: OneIssuerConfig
let server: ServerProcess
before(async () => {
  folder = await temporaryFolder()
  config = await testSettings(folder.path, { log: { level: 'info', format: 'json' } })
  server = spawnServer(`${folder.path}/keyturn.yaml`)
  await untilReady(server, config)
})
after(async () => {
  await server.stop()
  await folder.remove()
})

const head = (path: string, more: string) =>
  [
    `POST ${path} HTTP/1.1`,
    `Host: ${new URL(config.issuer).host}`,
    `Authorization: Basic ${SECRETS.authorization}`,
    `Cookie: keyturn=${SECRETS.cookie}`,
    `Content-Type: ${FORM}`,
    'Connection: close',
    more,
    '\r\n',
  ].join('\r\n')
const FIELDS = `refresh_token=${SECRETS.token}&password=${SECRETS.password}`
const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`

/** Lines of the log so far. */
function lines(): readonly Record<string, unknown>[] {
  return server
    .output()
    .split('\n')
    .filter((line) => line.startsWith('{"level"'))
    .map((line) => JSON.parse(line))
}

/** Sends and closes before anything is answered. */
async function sendAndLeave(bytes: string): Promise<void> {
  const { port, hostname } = new URL(config.issuer)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.write(bytes, () => socket.resetAndDestroy())
  await once(socket, 'close')
}

const PATHS = ['/token', '/auth', '/interaction/unknown', '/device', '/session/end/confirm']

/** A level of pino: what clients do wrong is told below it, where a proxy may be to blame. */
const ERROR = 50

describe('requests that break off or make no sense', () => {
  const broken: Readonly<Record<string, (path: string) => Promise<unknown>>> = {
    'a chunk whose size is no number': (path) =>
      sendBytes(
        config.issuer,
        `${head(path, 'Transfer-Encoding: chunked')}${chunk(FIELDS)}ZZ\r\n${FIELDS}\r\n0\r\n\r\n`,
      ),
    'a chunk that is longer than it says': (path) =>
      sendBytes(
        config.issuer,
        `${head(path, 'Transfer-Encoding: chunked')}5\r\n${FIELDS}${FIELDS}\r\n0\r\n\r\n`,
      ),
    'a content that ends early': (path) =>
      sendAndLeave(`${head(path, 'Content-Length: 1000')}${FIELDS}`),
    'a chunked content that ends early': (path) =>
      sendAndLeave(`${head(path, 'Transfer-Encoding: chunked')}${chunk(FIELDS)}`),
    'a client that does not wait for the answer': (path) =>
      sendAndLeave(`${head(path, `Content-Length: ${FIELDS.length}`)}${FIELDS}`),
    'header fields that are none': (path) =>
      sendBytes(config.issuer, `${head(path, `${FIELDS}\r\n \u0001: x`)}`),
    'a content that is not compressed as it says': (path) =>
      sendBytes(
        config.issuer,
        `${head(path, `Content-Encoding: gzip\r\nContent-Length: ${FIELDS.length}`)}${FIELDS}`,
      ),
    'a character encoding that nobody knows': (path) =>
      rawRequest(config.issuer, path, {
        method: 'POST',
        headers: { 'Content-Type': `${FORM}; charset=utf-99` },
        body: FIELDS,
      }),
    'JSON that is none': (path) =>
      rawRequest(config.issuer, path, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: `{"password": ${SECRETS.password}`,
      }),
    'far too much': (path) =>
      rawRequest(config.issuer, path, {
        method: 'POST',
        headers: { 'Content-Type': FORM },
        body: `${FIELDS}&x=${'x'.repeat(300_000)}`,
      }),
  }

  for (const [name, send] of Object.entries(broken)) {
    it(`${name}: no error of this server, and nothing of it in the log`, async () => {
      for (const path of PATHS) await send(path)
      // The server has dealt with what came before an answer that came after.
      assert.equal((await rawRequest(config.issuer, '/device')).status, 200)
      const errors = lines().filter(({ level }) => Number(level) >= ERROR)
      assert.deepEqual(errors, [])
      for (const secret of Object.values(SECRETS)) assert.ok(!server.output().includes(secret))
    })
  }

  it('200 of 48 KiB each leave a few lines', async () => {
    const before = server.output().length
    const bytes = `${head('/token', 'Transfer-Encoding: chunked')}${chunk('x'.repeat(48 * 1024))}ZZ\r\n`
    for (let request = 0; request < 200; request++) await sendBytes(config.issuer, bytes)
    assert.ok(server.output().length - before < 10_000)
  })

  it('pages that are refused 2,000 times leave a few lines', async () => {
    const before = server.output().length
    const headers = { Accept: 'text/html' }
    for (let request = 0; request < 100; request++) {
      await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          rawRequest(config.issuer, `/auth?client_id=unknown${request}-${index}`, { headers }),
        ),
      )
    }
    assert.ok(server.output().length - before < 50_000)
  })

  it('downloads that are left before their end are no errors', async () => {
    const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`
    for (let download = 0; download < 100; download++) {
      await sendAndLeave(get('/static/pico.min.css').repeat(4))
    }
    assert.equal((await rawRequest(config.issuer, '/device')).status, 200)
    assert.deepEqual(
      lines().filter(({ level }) => Number(level) >= ERROR),
      [],
    )
  })
})
