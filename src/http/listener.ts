import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

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

/** @throws the error of `listen`, such as EADDRINUSE */
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
    handler(request, response)
  })
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
