import { isIPv4, isIPv6 } from 'node:net'
import type { Middleware } from 'koa'

/**
 * Answers 421 (RFC 9110, section 15.5.20) to requests for a host that is not configured, against
 * DNS rebinding: a page of any site can make its name resolve to this machine and then read the
 * answers, but the browser still sends that name. The attack needs a name of the attacker's, so IP
 * addresses and `localhost`, which probes and people use, are allowed. A request without `Host`,
 * which HTTP/1.0 allows and no browser sends, is allowed too.
 * @param names host names that are allowed, without ports
 */
export function allowHosts(names: readonly string[]): Middleware {
  const allowed = new Set(['localhost', ...names.map(plainName)])
  return (ctx, next) => {
    const { host } = ctx.req.headers
    if (host === undefined) return next()
    const name = hostName(host)
    if (name !== undefined && (isAddress(name) || allowed.has(name))) return next()
    ctx.status = 421
    ctx.type = 'text'
    ctx.set({ 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' })
    ctx.body =
      'This listener does not answer for the host that was asked for. IP addresses and localhost are ' +
      'always answered; other names have to be in the setting management.hosts.\n'
  }
}

/**
 * The host of a `Host` header field (RFC 9112, section 3.2): a name in small letters without the
 * dot that may end it, or an IP address, in brackets if it is IPv6.
 * @returns undefined if the field is neither
 * @example hostName('Keyturn.Example.:9090') // 'keyturn.example'
 */
export function hostName(header: string): string | undefined {
  const [, host] = /^(\[[^\]]*\]|[^:[\]]+)(?::\d{0,5})?$/.exec(header.trim()) ?? []
  return host === undefined ? undefined : plainName(host)
}

function plainName(name: string): string {
  return name.toLowerCase().replace(/\.$/, '')
}

function isAddress(host: string): boolean {
  if (host.startsWith('[')) return isIPv6(host.slice(1, -1))
  return isIPv4(host)
}
