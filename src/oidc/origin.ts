import type Koa from 'koa'

/**
 * Makes every request of the app say that it came to the issuer. Keyturn answers under one name:
 * neither `Host` nor `X-Forwarded-*` can change the URLs it gives out or whether its cookies are
 * secure. TLS ends in front of it, so the socket cannot tell either.
 * @returns the same app
 */
export function pinOrigin(app: Koa, issuer: string): Koa {
  const { protocol, host } = new URL(issuer)
  Object.defineProperties(app.request, {
    protocol: { get: () => protocol.slice(0, -1) },
    host: { get: () => host },
  })
  return app
}

/**
 * Makes the paths of requests comparable as oidc-provider's router compares them: in small letters
 * below the issuer's path, and without a slash at the end. The issuer's own path keeps its case,
 * because cookies and RPs tell cases apart (RFC 3986, section 6.2.2.1).
 */
export function routedPaths(issuer: string): (path: string) => string {
  const { length } = issuerPath(issuer)
  return (path) => path.slice(0, length) + path.slice(length).toLowerCase().replace(/\/$/, '')
}

/** Path of the issuer without a slash at its end: empty, or such as `/op`. */
export function issuerPath(issuer: string): string {
  return new URL(issuer).pathname.replace(/\/$/, '')
}
