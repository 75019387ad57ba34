import { issuerPath } from '../oidc/origin.ts'

/** Tells people with a browser, who get pages, from programs, which get JSON. */
export interface Audience {
  /** @param path of a request, including the issuer's path */
  isForPrograms(path: string): boolean
  /** True if the request should get a page. @param accept the header field */
  wantsPage(path: string, accept: string | undefined): boolean
}

/** Paths of endpoints for programs, below the issuer's path. */
const PROGRAMS = /^\/(?:token|userinfo|jwks|request|device\/auth|\.well-known)(?:\/|$)/i

/**
 * Decides by the path before the header field, because HTTP libraries send `Accept: text/html` to
 * the token endpoint as well (Java's own does), where RFC 6749, section 5.2, promises JSON.
 */
export function createAudience(issuer: string): Audience {
  const { length } = issuerPath(issuer)
  const isForPrograms = (path: string) => PROGRAMS.test(path.slice(length))
  return {
    isForPrograms,
    wantsPage: (path, accept = '') => accept.includes('text/html') && !isForPrograms(path),
  }
}
