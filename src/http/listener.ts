import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import {
  type ConnectionBound,
  type ConnectionLimits,
  type Connections,
  watchConnections,
} from './connections.ts'
import { hasSoundHost, normaliseTarget, targetHost } from './target.ts'

/** An HTTP server that is listening. */
export interface Listener {
  readonly url: string
  /** Connections that are open. */
  readonly connections: number
  /**
   * Adds `Connection: close` to every answer from now on, so that clients and load balancers with
   * open connections move to other nodes before this listener is closed.
   */
  announceClose(): void
  /**
   * Takes no new connections, lets requests that have begun finish, closes each connection as soon
   * as it is idle, and after `timeout` seconds those that are left.
   */
  close(timeout: number): Promise<void>
}

/** Milliseconds between two closings of idle connections while the last requests finish. */
const SWEEP = 20

/** Milliseconds between two checks for requests that are too slow; Node's default is 30 s. */
const SLOWNESS_CHECK = 2000

/** Limits of a listener; times in seconds, sizes in bytes. */
export interface ListenerLimits extends ConnectionLimits {
  /** Most bytes of a request line with all header fields. */
  readonly headerSize: number
  readonly headerTime: number
  /** Most seconds for receiving a whole request. */
  readonly requestTime: number
  /** Seconds for which a connection without a request stays open. */
  readonly keepAlive: number
}

export interface ListenOptions {
  readonly host: string
  readonly port: number
  /** Descriptor of a listening socket that takes the place of `host` and `port`. */
  readonly socket?: number | undefined
  readonly limits: ListenerLimits
  /** Called when a limit closed a connection. */
  readonly onClosed?: (bound: ConnectionBound) => void
}

/**
 * Listens for requests and passes on those with a valid target, with `url` in origin-form
 * (`target.ts`).
 * @throws the error of `listen`, such as EADDRINUSE; EINVAL for a `socket` that is no TCP socket
 */
export async function listen(
  handler: RequestListener,
  { host, port, socket, limits, onClosed = () => {} }: ListenOptions,
): Promise<Listener> {
  let isClosing = false
  const options = {
    maxHeaderSize: limits.headerSize,
    headersTimeout: limits.headerTime * 1000,
    requestTimeout: limits.requestTime * 1000,
    keepAliveTimeout: limits.keepAlive * 1000,
    connectionsCheckingInterval: SLOWNESS_CHECK,
  }
  const take: RequestListener = (request, response) => connections.take(request, response)
  const server = createServer(options, take)
  const connections = watchConnections({
    limits,
    handle: (request, response) => {
      if (isClosing) response.shouldKeepAlive = false
      if (takeTarget(request, response)) handler(request, response)
    },
    closeIdle: () => server.closeIdleConnections(),
    onClosed,
  })
  server.on('connection', connections.add)
  server.once('close', connections.stop)
  // Node would answer an unknown `Expect` itself, past all limits; it may be ignored (RFC 9110,
  // section 10.1.1).
  server.on('checkExpectation', take)
  // Without a listener Node would close the connection without an answer.
  server.on('connect', refuseTunnel)
  const announceClose = () => {
    isClosing = true
    for (const response of connections.answers()) response.shouldKeepAlive = false
  }
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      connections.stop()
      reject(error)
    })
    server.listen(socket === undefined ? { port, host } : { fd: socket }, resolve)
  })
  const address = server.address()
  // The clients of a socket in the file system have no address by which they could be limited.
  if (address === null || typeof address === 'string') {
    await drain(server, connections, 0)
    throw Object.assign(new Error('listen EINVAL: no TCP socket'), { code: 'EINVAL' })
  }
  return {
    url: urlOf(address),
    announceClose,
    get connections() {
      return connections.size
    },
    close: (timeout) => {
      announceClose()
      return drain(server, connections, timeout)
    },
  }
}

/**
 * Puts `url` into origin-form, or answers the request.
 * @returns whether the request still has to be handled
 */
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
    // `OPTIONS *` asks about the server as a whole (RFC 9110, section 9.3.7).
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

/**
 * Refuses CONNECT, which asks for a proxy's tunnel. The connection is closed whether or not the
 * client closes its side, because Node's time limits hold for HTTP alone.
 */
function refuseTunnel(_request: IncomingMessage, socket: Duplex): void {
  // The client may have closed the connection.
  socket.on('error', () => {})
  socket.end(
    'HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD, POST, OPTIONS\r\n' +
      'Connection: close\r\nContent-Length: 0\r\n\r\n',
    () => socket.destroy(),
  )
}

function urlOf({ address, family, port }: AddressInfo): string {
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`
}

async function drain(server: Server, connections: Connections, timeout: number): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve))
  const idle = setInterval(connections.closeIdle, SWEEP)
  const late = setTimeout(connections.closeAll, timeout * 1000)
  await closed
  clearInterval(idle)
  clearTimeout(late)
}
