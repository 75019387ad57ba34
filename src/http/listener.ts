import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { type ConnectionBound, type ConnectionLimits, watchConnections } from './connections.ts'
import { hasSoundHost, normaliseTarget, targetHost } from './target.ts'

/** An HTTP server that is listening. */
export interface Listener {
  readonly url: string
  /** Connections that are open. */
  readonly connections: number
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

/** Milliseconds from one look for requests that are too slow to the next; Node's own is 30 s. */
const SLOWNESS_CHECK = 2000

/** What clients of a listener may cost; times in seconds, sizes in bytes. */
export interface ListenerLimits extends ConnectionLimits {
  /** For a request line and all header fields. */
  readonly headerSize: number
  readonly headerTime: number
  /** For all of a request. */
  readonly requestTime: number
  /** For which a connection without a request stays open. */
  readonly keepAlive: number
}

export interface ListenOptions {
  readonly host: string
  readonly port: number
  readonly limits: ListenerLimits
  /** A limit closed a connection. */
  readonly onClosed?: (bound: ConnectionBound) => void
}

/**
 * Listens for requests and hands those on whose target makes sense: `url` of each is in origin-form
 * (`target.ts`), whatever form it came in.
 * @throws the error of `listen`, such as EADDRINUSE
 */
export async function listen(
  handler: RequestListener,
  { host, port, limits, onClosed = () => {} }: ListenOptions,
): Promise<Listener> {
  let isSendingAway = false
  const options = {
    maxHeaderSize: limits.headerSize,
    headersTimeout: limits.headerTime * 1000,
    requestTimeout: limits.requestTime * 1000,
    keepAliveTimeout: limits.keepAlive * 1000,
    connectionsCheckingInterval: SLOWNESS_CHECK,
  }
  const server = createServer(options, (request, response) => connections.take(request, response))
  const connections = watchConnections({
    limits,
    handle: (request, response) => {
      if (isSendingAway) response.shouldKeepAlive = false
      if (takeTarget(request, response)) handler(request, response)
    },
    closeIdle: () => server.closeIdleConnections(),
    onClosed,
  })
  server.on('connection', connections.add)
  server.once('close', connections.stop)
  // Node would close the connection without a word.
  server.on('connect', refuseTunnel)
  const sendAway = () => {
    isSendingAway = true
    for (const response of connections.answers()) response.shouldKeepAlive = false
  }
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      connections.stop()
      reject(error)
    })
    server.listen(port, host, resolve)
  })
  return {
    url: urlOf(server),
    sendAway,
    get connections() {
      return connections.size
    },
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
    const host = targetHost(url)
    if (host !== undefined) {
      request.headers.host = host
      // A proxy that writes this field asks in origin-form; a client's must not count for more.
      delete request.headers['x-forwarded-host']
    }
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
