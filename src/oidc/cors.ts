import type { Middleware } from 'koa'
import type { Configuration } from 'oidc-provider'
import { isLoopback } from '../values/loopback.ts'

/** Which pages may read what oidc-provider answers to scripts. */

/**
 * Pages to which a public client's codes are sent may fetch the tokens; other clients do not run in a
 * browser. What everybody's userinfo needs is a token.
 */
export const clientBasedCORS: NonNullable<Configuration['clientBasedCORS']> = (
  ctx,
  origin,
  client,
) => {
  if (ctx.oidc.route !== 'userinfo' && client.clientAuthMethod !== 'none') return false
  // As text, an opaque origin (`null`) equals that of every private scheme.
  const page = URL.parse(origin)
  if (page?.origin !== origin) return false
  const isNative = client.applicationType === 'native'
  return (client.redirectUris ?? []).some((uri) => {
    const target = URL.parse(uri)
    if (target === null) return false
    return target.origin === origin || (isNative && differInPort(target, page))
  })
}

/** A native application listens on whatever port of the loopback is free (RFC 8252, section 7.3). */
function differInPort(registered: URL, page: URL): boolean {
  const { protocol, hostname } = registered
  return (
    protocol === 'http:' &&
    isLoopback(hostname) &&
    protocol === page.protocol &&
    hostname === page.hostname
  )
}

/**
 * oidc-provider repeats any origin to preflights, and where a request fails before its client is known.
 * `null` is the name of every sandboxed frame and local file, so it is told nothing.
 */
export function hideFromOpaqueOrigins(): Middleware {
  return (ctx, next) => {
    // All other requests are spared a promise.
    if (ctx.headers.origin !== 'null') return next()
    return next().finally(() => ctx.remove('Access-Control-Allow-Origin'))
  }
}
