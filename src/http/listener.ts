import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** An HTTP server that is listening. */
export interface Listener {
  readonly url: string
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
  const server = createServer(LIMITS, handler)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  return {
    url: urlOf(server),
    close: (timeout) => drain(server, timeout),
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
