import type { IncomingMessage } from 'node:http'
import type Koa from 'koa'
import { parseAddress, parseNode, UNKNOWN_ADDRESS } from '../values/address.ts'

/**
 * Makes `ctx.ip` the client's address on every request of the app, so that limits, log lines and
 * oidc-provider all use the same one.
 * @param trustedProxies how many reverse proxies in front write `X-Forwarded-For`
 * @returns the same app
 */
export function setClientAddress(app: Koa, trustedProxies: number): Koa {
  Object.defineProperty(app.request, 'ip', {
    get(this: { readonly req: IncomingMessage }) {
      return clientAddress(this.req, trustedProxies)
    },
  })
  return app
}

/**
 * The address a request comes from, without port. Each trusted proxy adds one entry at the end of
 * `X-Forwarded-For`, so the outermost proxy's entry is found by counting from the end; the client
 * may have written everything before it. If that entry is no address (`unknown`, a hidden name,
 * nonsense), the socket's address is used, which is the nearest proxy's, because arbitrary text
 * would make each request look like a new client.
 */
export function clientAddress(
  request: Pick<IncomingMessage, 'headers' | 'socket'>,
  trustedProxies: number,
): string {
  return (
    forwardedAddress(request.headers['x-forwarded-for'], trustedProxies) ??
    parseAddress(request.socket.remoteAddress ?? '') ??
    UNKNOWN_ADDRESS
  )
}

function forwardedAddress(
  header: string | readonly string[] | undefined,
  trustedProxies: number,
): string | undefined {
  if (header === undefined || trustedProxies === 0) return undefined
  // Node joins several header lines with commas. Empty entries of a list mean nothing (RFC 9110,
  // 5.6.1).
  const entries = `${header}`.split(',').filter((entry) => entry.trim() !== '')
  // With fewer entries than proxies the request bypassed some proxies, and the first entry is a
  // proxy's.
  const entry = entries.at(-trustedProxies) ?? entries[0]
  return entry === undefined ? undefined : parseNode(entry)
}
