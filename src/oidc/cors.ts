import type { Middleware } from 'koa'
import type { Configuration } from 'oidc-provider'
import { isLoopback } from '../values/loopback.ts'

/** Decides which pages may read the answers of oidc-provider in scripts. */

/**
 * Lets the pages to which a public client's codes are sent fetch the tokens; other clients do not
 * run in a browser. Userinfo may be read from any page of a client, because it needs a token.
 */
export const clientBasedCORS: NonNullable<Configuration['clientBasedCORS']> = (
  ctx,
  origin,
  client,
) => {
  if (ctx.oidc.route !== 'userinfo' && client.clientAuthMethod !== 'none') return false
  // The text `null` of an opaque origin would equal the origin of every URI with a private scheme.
  const page = URL.parse(origin)
  if (page?.origin !== origin) return false
  const isNative = client.applicationType === 'native'
  return (client.redirectUris ?? []).some((uri) => {
    const target = URL.parse(uri)
    if (target === null) return false
    return target.origin === origin || (isNative && differInPort(target, page))
  })
}

/**
 * True for loopback URIs that differ only in port: native apps use any free one (RFC 8252, 7.3).
 */
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
 * Removes the header for the origin `null`, which every sandboxed frame and local file has.
 * oidc-provider allows any origin in preflights, and in requests that fail before the client is
 * known.
 */
export function hideFromOpaqueOrigins(): Middleware {
  return (ctx, next) => {
    // Returns early so that all other requests need no further promise.
    if (ctx.headers.origin !== 'null') return next()
    return next().finally(() => ctx.remove('Access-Control-Allow-Origin'))
  }
}
