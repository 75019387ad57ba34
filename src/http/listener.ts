import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { hasSoundHost, normaliseTarget } from './target.ts'

/** An HTTP server that is listening. */
export interface Listener {
  readonly url: string
  /**
   * From now on every answer says `Connection: close`, so that clients and load balancers with
   * connections kept alive go elsewhere before this listener is closed.
   */
  sendAway(): void
  /**
   * Takes no new connections, lets requests that have begun finish, closes each connection as soon
   * as it is idle, and after `timeout` seconds those that are left.
   */
  close(timeout: number): Promise<void>
}

/** How often idle connections are closed while the last requests finish, in milliseconds. */
const SWEEP = 20

/** Milliseconds: who sends a request more slowly than this is turned away. */
const LIMITS = { headersTimeout: 10_000, requestTimeout: 30_000 }

/**
 * Listens for requests and hands those on whose target makes sense: `url` of each is in origin-form
 * (`target.ts`), whatever form it came in.
 * @throws the error of `listen`, such as EADDRINUSE
 */
export async function listen(
  handler: RequestListener,
  { host, port }: { host: string; port: number },
): Promise<Listener> {
  const open = new Set<ServerResponse>()
  let isSendingAway = false
  const server = createServer(LIMITS, (request, response) => {
    if (isSendingAway) response.shouldKeepAlive = false
    open.add(response)
    response.once('close', () => open.delete(response))
    if (takeTarget(request, response)) handler(request, response)
  })
  // Node would close the connection without a word.
  server.on('connect', refuseTunnel)
  const sendAway = () => {
    isSendingAway = true
    for (const response of open) response.shouldKeepAlive = false
  }
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  return {
    url: urlOf(server),
    sendAway,
    close: (timeout) => {
      sendAway()
      return drain(server, timeout)
    },
  }
}

/** Puts `url` into origin-form, or answers. @returns whether there is something to handle */
function takeTarget(request: IncomingMessage, response: ServerResponse): boolean {
  const { method, url = '', rawHeaders } = request
  const target = normaliseTarget(url)
  if (target !== undefined && hasSoundHost(rawHeaders)) {
    request.url = target
    return true
  }
  if (method === 'OPTIONS' && url === '*' && hasSoundHost(rawHeaders)) {
    // About the server as a whole (RFC 9110, section 9.3.7).
    response.writeHead(204, { allow: 'GET, HEAD, POST, OPTIONS' }).end()
    return false
  }
  response.writeHead(400, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': UNSOUND.length,
    'cache-control': 'no-store',
  })
  response.end(method === 'HEAD' ? undefined : UNSOUND)
  return false
}

const UNSOUND = Buffer.from(
  JSON.stringify({
    error: 'invalid_request',
    error_description: 'the request target or the Host header field is not valid (RFC 9112, 3.2)',
  }),
)

/** CONNECT asks for a tunnel, as of a proxy, which Keyturn is not. */
function refuseTunnel(_request: IncomingMessage, socket: Duplex): void {
  // Its sender may be gone.
  socket.on('error', () => {})
  socket.end(
    'HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD, POST, OPTIONS\r\n' +
      'Connection: close\r\nContent-Length: 0\r\n\r\n',
  )
}

function urlOf(server: Server): string {
  // A server that listens on TCP has an AddressInfo; only pipes have a string.
  const { address, family, port } = server.address() as AddressInfo
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`
}

async function drain(server: Server, timeout: number): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve))
  const idle = setInterval(() => server.closeIdleConnections(), SWEEP)
  const late = setTimeout(() => server.closeAllConnections(), timeout * 1000)
  await closed
  clearInterval(idle)
  clearTimeout(late)
}
